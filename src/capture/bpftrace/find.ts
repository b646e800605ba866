// Which bpftrace this host has, if any, and whether it is new enough. Starts nothing but
// `bpftrace --version`.

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { childEnvironment } from './child_environment.ts';

export interface Bpftrace {
  readonly path: string;
  /** Such as `0.17.0`. */
  readonly version: string;
}

/** Why there is none, in one sentence that says what to do. */
export interface NoBpftrace {
  readonly reason: string;
}

/** The oldest that the bundled scripts are written for and tested with: Debian 12's. */
const OLDEST = '0.17';
/** It only prints a line; a busy machine takes a second. */
const VERSION_MS_MAX = 10_000;

/** Looks along PATH. Never throws; `ending` cuts it short. */
export async function findBpftrace(
  env: NodeJS.ProcessEnv = process.env,
  ending?: AbortSignal,
): Promise<Bpftrace | NoBpftrace> {
  const path = findProgram('bpftrace', env);
  if (path === undefined) {
    return {
      reason:
        'bpftrace is not installed, or not in PATH; install it, on Debian with `apt-get install bpftrace`',
    };
  }
  const { stdout, shortMessage, failed } = await execa(path, ['--version'], {
    env: childEnvironment(env),
    extendEnv: false,
    reject: false,
    ...(ending === undefined ? {} : { cancelSignal: ending }),
    stdin: 'ignore',
    timeout: VERSION_MS_MAX,
    maxBuffer: 4096,
  });
  if (failed) return { reason: `${path} cannot be run: ${shortMessage}` };
  const version = /\bv?(\d+\.\d+(\.\d+)?)/.exec(stdout)?.[1];
  if (version === undefined) {
    return { reason: `${path} --version says ${JSON.stringify(stdout)}, which is no version` };
  }
  if (!isAtLeast(version, OLDEST)) {
    return { reason: `${path} is bpftrace ${version}, too old; ${OLDEST} or newer is needed` };
  }
  return { path, version };
}

/** The first executable file of that name in PATH. */
export function findProgram(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** Whether the kernel's list of tracepoints can be seen, without which bpftrace finds none. */
export function tracefsMounted(): boolean {
  return ['/sys/kernel/tracing/events', '/sys/kernel/debug/tracing/events'].some(existsSync);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Compares the first two numbers of a version. */
export function isAtLeast(version: string, oldest: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}
