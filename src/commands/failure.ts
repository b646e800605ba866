// One sentence for what a command could not do.

import { TOO_MANY_FILES } from '../addon/too_many_files.ts';

/** Refusals of the system carry a code and explain themselves; anything else is a bug of ours. */
export function failure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!('code' in error)) return error.stack ?? error.message;
  return TOO_MANY_FILES[String(error.code)] ?? error.message;
}
