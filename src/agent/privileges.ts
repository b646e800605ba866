// Gives up every capability that the agent has no use for once its programs are attached. What goes
// on from there is memory that is mapped and descriptors that are open, which need none; the
// exceptions are below, each with its reason. The user and the group stay what they are.

import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { loadAddon } from '../addon/addon.ts';
import {
  CAPABILITIES,
  type Capability,
  type Permissions,
  permissions,
} from '../capture/capabilities.ts';

/** What the agent will still do that may need a capability. */
export interface Uses {
  /** The setting bpf_stats: reads the programs' run time at each scrape. */
  readonly bpfStats: boolean;
  /** A probe stands on a bpftrace script, which is started anew when it ends. */
  readonly bpftrace: boolean;
  /** Read again at SIGHUP. */
  readonly configFile: string | undefined;
  /** The web configuration and what it names, read again when they change. */
  readonly webFiles: readonly string[];
}

/**
 * Drops all capabilities but those to keep, in every thread, and says so in the log. When that
 * fails the agent goes on with what it has, after a warning. Call it after everything is attached.
 */
export function dropPrivileges(uses: Uses, log: Logger): void {
  try {
    const wanted = capabilitiesToKeep(uses, permissions());
    const numbers = [...wanted.keys()].map((name) => CAPABILITIES[name]);
    const { threads } = loadAddon().dropCapabilities(Uint8Array.from(numbers));
    const { held } = permissions();
    const kept = Object.fromEntries([...wanted].filter(([name]) => held.has(name)));
    if (Object.keys(kept).length === 0) log.info({ threads }, 'dropped all capabilities');
    else log.info({ threads, kept }, 'dropped all capabilities but these');
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    log.warn({ reason }, 'capabilities could not be dropped; the agent keeps what it has');
  }
}

/** By capability, what it is kept for. */
export function capabilitiesToKeep(
  { bpfStats, bpftrace, configFile, webFiles }: Uses,
  permitted: Permissions,
  who = thisProcess(),
): Map<Capability, string> {
  const keep = new Map<Capability, string>();
  if (bpfStats) {
    // kernel.unprivileged_bpf_disabled closed the whole system call once, reading included (5.10).
    keep.set('CAP_BPF', "reads the programs' run time (bpf_stats)");
  }
  if (bpftrace) {
    keep.set('CAP_BPF', 'starts bpftrace again when it ends');
    keep.set('CAP_PERFMON', 'starts bpftrace again when it ends');
    keep.set('CAP_SYS_RESOURCE', 'bpftrace raises RLIMIT_MEMLOCK');
    keep.set('CAP_SYS_ADMIN', "bpftrace reads the kernel's types, and opens perf events");
    if (who.uid !== 0) {
      // Root owns tracefs; of others bpftrace 0.27 demands both, and older ones do not run for them.
      keep.set('CAP_DAC_OVERRIDE', 'bpftrace reads tracefs');
      keep.set('CAP_DAC_READ_SEARCH', 'bpftrace reads tracefs');
    }
  }
  const closed = (files: readonly string[]) => files.filter((file) => !readableByMode(file, who));
  const atSighup = closed(configFile === undefined ? [] : [configFile]);
  const atChange = closed(webFiles);
  if (atSighup.length + atChange.length > 0) {
    const opening = (['CAP_DAC_READ_SEARCH', 'CAP_DAC_OVERRIDE'] as const).find((one) =>
      permitted.held.has(one),
    );
    const reasons = [
      ...atSighup.map((file) => `reads ${file} again at SIGHUP`),
      ...(atChange.length > 0 ? [`reads ${atChange.join(', ')} again when changed`] : []),
    ];
    if (opening !== undefined) keep.set(opening, reasons.join('; '));
  }
  return keep;
}

/**
 * Whether the modes of a file, and of the folders that it is in, let this process read it without a
 * capability. Access control lists are not looked at, so it may say no where they would say yes.
 */
export function readableByMode(file: string, who: Who = thisProcess()): boolean {
  try {
    const path = realpathSync(file);
    if (!permits(statSync(path), READ, who)) return false;
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      if (!permits(statSync(folder), SEARCH, who)) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    // Not there, or behind a folder that is closed already: no capability that is held would help.
    return true;
  }
}

interface Who {
  readonly uid: number;
  readonly gids: readonly number[];
}

const READ = 0o4;
const SEARCH = 0o1;

/** The owner is judged by the owner's bits alone, then the group by the group's. */
function permits({ mode, uid, gid }: Stats, wanted: number, who: Who): boolean {
  const shift = uid === who.uid ? 6 : who.gids.includes(gid) ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

function thisProcess(): Who {
  const gids = [process.getegid?.(), ...(process.getgroups?.() ?? [])];
  return {
    uid: process.geteuid?.() ?? 0,
    gids: gids.filter((gid) => gid !== undefined),
  };
}
