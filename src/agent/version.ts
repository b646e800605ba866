// Version and revision of this build. The revision is written beside the compiled code by the
// build; a checkout without git has none.

import { readFileSync } from 'node:fs';
import { ROOT } from '../addon/root.ts';

const manifest = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
  version: string;
};

export const VERSION: string = manifest.version;
export const REVISION: string = readRevision();

function readRevision(): string {
  try {
    return readFileSync(new URL('dist/revision', ROOT), 'utf8').trim();
  } catch {
    return '';
  }
}
