// What a process holds in the kernel's BPF subsystem, by id, and whether the kernel still has it.
// Ids are never used twice, so other agents on the machine cannot be mistaken for this one.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface HeldBpf {
  readonly programs: ReadonlySet<number>;
  readonly maps: ReadonlySet<number>;
}

/** Reads /proc/<pid>/fdinfo, where the kernel names what stands behind each descriptor. */
export function heldBpf(pid: number): HeldBpf {
  const ids = (key: string): Set<number> =>
    new Set(
      descriptors(pid, 'fdinfo').flatMap((info) => {
        const id = new RegExp(`^${key}:\\s*(\\d+)$`, 'm').exec(info)?.[1];
        return id === undefined ? [] : [Number(id)];
      }),
    );
  return { programs: ids('prog_id'), maps: ids('map_id') };
}

/** Whether the process has opened its perf rings: the last thing before it measures. */
export function readsEvents(pid: number): boolean {
  return descriptors(pid, 'fd').includes('anon_inode:[perf_event]');
}

/** Names of those that the kernel still has. */
export function stillThere(held: HeldBpf): string[] {
  return [...remaining('prog', held.programs), ...remaining('map', held.maps)];
}

export function programNames(held: HeldBpf): string[] {
  return remaining('prog', held.programs);
}

function remaining(kind: 'prog' | 'map', ids: ReadonlySet<number>): string[] {
  const output = execFileSync('bpftool', [kind, 'show', '-j'], { encoding: 'utf8' });
  const all = JSON.parse(output) as { id: number; name?: string }[];
  return all.filter(({ id }) => ids.has(id)).map(({ id, name }) => name ?? `${kind} ${id}`);
}

function descriptors(pid: number, folder: 'fd' | 'fdinfo'): string[] {
  const path = `/proc/${pid}/${folder}`;
  return readdirSync(path).flatMap((fd) => {
    try {
      const one = `${path}/${fd}`;
      return [folder === 'fd' ? readlinkSync(one) : readFileSync(one, 'utf8')];
    } catch {
      // Closed between the listing and the look.
      return [];
    }
  });
}
