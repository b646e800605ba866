// The row that stands for all devices that are gone: it takes over what a device had counted when that goes,
// at once, which a rate would take for traffic. So no rate, no increase and no quantile has it.

import { PROBES } from '../../probes/index.ts';
import { labelsOf } from '../../probes/probe.ts';
import { REMOVED } from '../../readings/names.ts';

export const NOT_REMOVED = `device!="${REMOVED}"`;

/** Families that are counted in the kernel by device, as queries name them. */
const COUNTED = new Set([
  'rxscope_received_packets_total',
  'rxscope_over_budget_total',
  'rxscope_drops_total',
  'rxscope_packets_dropped_total',
  'rxscope_napi_poll_packets',
  'rxscope_napi_budget_exhausted_total',
  ...PROBES.filter((probe) => labelsOf(probe).includes('device') && probe.by !== 'irq').map(
    ({ id }) => `rxscope_${id}_seconds`,
  ),
]);

/** The selector for a family, without the row of removed devices where it can have one. */
export function withoutRemoved(name: string, selector: string): string {
  if (!COUNTED.has(name.replace(/_(bucket|sum|count)$/, ''))) return selector;
  return selector === '' ? NOT_REMOVED : `${selector},${NOT_REMOVED}`;
}
