// Version and revision of this build. The revision is written beside the compiled code by the
// build; a checkout without git has none.

import { readFileSync } from 'node:fs';

const manifest = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

export const VERSION: string = manifest.version;
export const REVISION: string = readRevision();

function readRevision(): string {
  try {
    return readFileSync(new URL('../../dist/revision', import.meta.url), 'utf8').trim();
  } catch {
    return '';
  }
}
