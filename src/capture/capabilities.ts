// Capabilities by name and number, which of them this process has, and what else decides about BPF.
// Reads /proc only; what is kept and dropped is decided in src/agent/privileges.ts.

import { readFileSync } from 'node:fs';

/** The kernel's numbers of those that the agent has a use for. */
export const CAPABILITIES = {
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_IPC_LOCK: 14,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type Capability = keyof typeof CAPABILITIES;

/** What a process may do with BPF and perf events, and what the system demands for it. */
export interface Permissions {
  /** Capabilities in effect. */
  readonly held: ReadonlySet<Capability>;
  /** Those in effect belong to a user namespace, where BPF does not honour them. */
  readonly inUserNamespace: boolean;
  /** The sysctl kernel.perf_event_paranoid; undefined where it cannot be read. */
  readonly perfEventParanoid: number | undefined;
}

/** Of this process, now. Never throws: what cannot be read is taken as absent. */
export function permissions(proc = '/proc'): Permissions {
  const paranoid = Number.parseInt(textOf(`${proc}/sys/kernel/perf_event_paranoid`), 10);
  return {
    held: capabilitiesIn(textOf(`${proc}/self/status`)),
    inUserNamespace: !/^\s*(0\s+0\s+4294967295\s*)?$/.test(textOf(`${proc}/self/uid_map`)),
    perfEventParanoid: Number.isNaN(paranoid) ? undefined : paranoid,
  };
}

/** The effective ones of a /proc/PID/status. */
export function capabilitiesIn(status: string): Set<Capability> {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const names = Object.keys(CAPABILITIES) as Capability[];
  return new Set(names.filter((name) => ((mask >> BigInt(CAPABILITIES[name])) & 1n) === 1n));
}

/** CAP_SYS_ADMIN includes what CAP_BPF and CAP_PERFMON were split off from it. */
export function allows({ held }: Permissions, capability: 'CAP_BPF' | 'CAP_PERFMON'): boolean {
  return held.has(capability) || held.has('CAP_SYS_ADMIN');
}

/**
 * Debian's kernels know a perf_event_paranoid of 3, their default: it denies perf events to whoever
 * has no CAP_SYS_ADMIN. Upstream's highest is 2, with which CAP_PERFMON is enough.
 */
export function perfEventsNeedAdmin({ perfEventParanoid }: Permissions): boolean {
  return (perfEventParanoid ?? 0) > 2;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
