// Builds the Debian package as its script does, for the tests that install it.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../repo/project_files.ts';

/** Returns the path of the .deb, in `folder`. */
export function buildPackage(folder: string, ...options: readonly string[]): string {
  const script = join(ROOT, 'deploy/debian/build.sh');
  return execFileSync(script, ['--out', folder, ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}
