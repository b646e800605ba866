// Commands that run rxscope where something is missing. What is hidden is hidden in a mount
// namespace that only the command sees, so nothing on the machine changes and nothing is cleaned up.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../repo/project_files.ts';
import { RXSCOPE } from './agent_process.ts';

/** The words of one mount command, less the word `mount`. */
type Mount = readonly string[];

export function hiding(folder: string): Mount {
  return ['-t', 'tmpfs', 'none', folder];
}

export function replacing(file: string, by: string): Mount {
  return ['--bind', by, file];
}

/** The command, after these mounts. */
export function after(mounts: readonly Mount[], command = RXSCOPE): readonly string[] {
  const steps = mounts.map((words) => ['mount', ...words].map(quoted).join(' '));
  const script = [...steps, 'exec "$@"'].join(' && ');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command];
}

/** A program of the checkout, as this user. */
export interface AsNobody {
  /** Such as `CAP_BPF`; all others are out of reach too. */
  readonly capabilities?: readonly string[];
  readonly script?: string;
  readonly mounts?: readonly Mount[];
}

/**
 * rxscope, or a script, as nobody. The checkout and Node are seen at places below `folder`, for
 * where they are may be closed to nobody.
 */
export function asNobody(folder: string, options: AsNobody = {}): readonly string[] {
  const { capabilities = [], script = 'dist/commands/main.js', mounts = [] } = options;
  const node = join(folder, 'node');
  const checkout = join(folder, 'checkout');
  chmodSync(folder, 0o755);
  mkdirSync(checkout, { recursive: true });
  writeFileSync(node, '');
  const list = ['-all', ...capabilities.map((name) => `+${name.slice(4).toLowerCase()}`)].join();
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const sets = [`--bounding-set=${list}`, `--inh-caps=${list}`, `--ambient-caps=${list}`];
  return after(
    [...mounts, replacing(checkout, ROOT), replacing(node, process.execPath)],
    ['setpriv', ...nobody, ...sets, node, join(checkout, script)],
  );
}

const TRACING = '/sys/kernel/tracing';

/** Where classic tracepoints are. Not twice on the same place, hence what lies between. */
export const TRACEFS: readonly Mount[] = [hiding(TRACING), ['-t', 'tracefs', 'none', TRACING]];

/** No tracepoint can be found, so bpftrace, which the agent falls back to, cannot measure either. */
export const NO_TRACEFS: readonly Mount[] = [hiding(TRACING), hiding('/sys/kernel/debug')];

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
