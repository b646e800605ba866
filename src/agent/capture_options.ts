// What the configuration means for the kernel's programs. Pure.

import type { Config } from '../config/schema.ts';
import { CATALOGUE } from '../probes/index.ts';

/** Of everything that can be measured, what is switched on. */
export function enabledIn({ probes }: Config): string[] {
  return CATALOGUE.map(({ id }) => id).filter((id) => probes[id]?.enabled === true);
}

/** What the configuration means for libbpf. */
export function captureOptions(config: Config, exact: boolean) {
  return {
    probes: enabledIn(config),
    exact,
    devices: config.devices_max,
    pagesPerCpu: config.events.pages_per_cpu,
    budgets_ns: budgets(config),
    perCpuPerSecond: config.events.per_cpu_per_second,
  };
}

/** By probe id. */
export function budgets(config: Config): Record<string, number> {
  return Object.fromEntries(
    Object.entries(config.probes).map(([id, { budget_ns }]) => [id, budget_ns]),
  );
}
