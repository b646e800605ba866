// A driver's statistics, decoded whole: what the agent itself never needs.

import { type EthtoolCall, rawStatistics, statisticNames } from '../../src/host/ethtool.ts';

/**
 * The driver's own statistics by the driver's own names (`ethtool -S`). Of a name that the driver
 * repeats for each queue (vmxnet3), the sum.
 */
export function driverStatistics(
  call: EthtoolCall,
  device: string,
): Map<string, number> | undefined {
  const raw = rawStatistics(call, device);
  if (raw === undefined) return undefined;
  const named = new Map<string, number>();
  for (const [position, name] of statisticNames(raw.names).entries())
    named.set(name, (named.get(name) ?? 0) + raw.value(position));
  return named;
}
