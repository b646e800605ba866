// What the simulated hosts really observed, all together: quantiles of the observations themselves, without any
// bucket. Pure.

import { SimulatedHost } from './simulated_host.ts';
import type { Template } from './template.ts';

/** The hosts that answer, by number. */
export function liveHosts(template: Template, hosts: number): SimulatedHost[] {
  const all = Array.from({ length: hosts }, (_, host) => new SimulatedHost(template, host));
  return all.filter(({ fault }) => fault !== 'down');
}

/** Quantiles of a probe over all hosts, seconds: the lowest observation that at least `q` of all do not exceed. */
export function exactQuantiles(
  fleet: readonly SimulatedHost[],
  probe: string,
  quantiles: readonly number[],
): number[] {
  const weighted = fleet.flatMap((host) =>
    host.values_ns(probe).map((ns) => [ns, host.load] as const),
  );
  weighted.sort(([a], [b]) => a - b);
  const total = weighted.reduce((sum, [, load]) => sum + load, 0);
  return quantiles.map((q) => {
    let below = 0;
    const found = weighted.find(([, load]) => {
      below += load;
      return below >= q * total;
    });
    return found === undefined ? Number.NaN : found[0] / 1e9;
  });
}
