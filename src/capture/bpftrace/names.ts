// Words that several files of this folder say, and where the bundled scripts are.

import { fileURLToPath } from 'node:url';
import { ROOT } from '../../addon/root.ts';

export const MOUNT_TRACEFS = 'mount -t tracefs tracefs /sys/kernel/tracing';

/** The path of a bundled script, in the checkout and in the package alike. */
export function scriptFile(name: string): string {
  return fileURLToPath(new URL(`bpf/${name}.bt`, ROOT));
}
