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

/**
 * rxscope as nobody, without any capability. The checkout and Node are seen at places below
 * `folder`, for where they are may be closed to nobody.
 */
export function asNobody(folder: string): readonly string[] {
  const node = join(folder, 'node');
  const checkout = join(folder, 'checkout');
  chmodSync(folder, 0o755);
  mkdirSync(checkout, { recursive: true });
  writeFileSync(node, '');
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const powerless = ['--bounding-set=-all', '--inh-caps=-all'];
  return after(
    [replacing(checkout, ROOT), replacing(node, process.execPath)],
    ['setpriv', ...nobody, ...powerless, node, join(checkout, 'dist/cli/main.js')],
  );
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
