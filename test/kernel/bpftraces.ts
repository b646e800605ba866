// The bpftraces that the bundled scripts are tested with: this machine's, which is Debian 12's, and
// the newest that Debian has (bpftrace/newest.sh). Each sees a tracefs of its own, so nothing is
// mounted on this machine. Judges nothing.

import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bpftrace, findBpftrace } from '../../src/capture/bpftrace/find.ts';
import { scriptFile } from '../../src/capture/bpftrace/names.ts';
import type { ScriptOutput } from '../../src/capture/bpftrace/output.ts';
import { startScript } from '../../src/capture/bpftrace/runner.ts';

/** For the hook of a test that may have to download the newest. */
export const DOWNLOAD_MS_MAX = 180_000;

/** Compiling takes a second; a busy machine several. */
const ATTACH_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;

/** The path of this machine's own. */
export async function installedBpftrace(): Promise<string> {
  const found = await findBpftrace();
  if ('reason' in found) throw new Error(found.reason);
  return found.path;
}

/** The path of the newest one; downloads it the first time. */
export function newestBpftrace(): string {
  const script = fileURLToPath(new URL('./bpftrace/newest.sh', import.meta.url));
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return execFileSync(script, { encoding: 'utf8', stdio: [...stdio] }).trim();
}

/** A bpftrace that has tracefs, called through a file in `folder`. */
export async function withTracefs(folder: string, program: string): Promise<Bpftrace> {
  const path = join(folder, 'bpftrace');
  const tracefs = '/sys/kernel/tracing';
  const steps = `{ [ -e ${tracefs}/events ] || mount -t tracefs tracefs ${tracefs}; } && exec "$0" "$@"`;
  writeFileSync(
    path,
    `#!/bin/sh\nexec unshare --mount --propagation private sh -c '${steps}' '${program}' "$@"\n`,
  );
  chmodSync(path, 0o755);
  const found = await findBpftrace({ ...process.env, PATH: `${folder}:${process.env.PATH}` });
  if ('reason' in found) throw new Error(found.reason);
  return found;
}

/** What a script printed, of those rows whose key begins with something. */
export class Printed {
  readonly outputs: readonly ScriptOutput[];
  readonly problems: readonly string[];
  readonly reason: string | undefined;

  constructor(
    outputs: readonly ScriptOutput[],
    problems: readonly string[],
    reason: string | undefined,
  ) {
    this.outputs = outputs;
    this.problems = problems;
    this.reason = reason;
  }

  /** The observations of a histogram, or the sum of a map of counts. */
  count(map: string, keyBegins = ''): number {
    let sum = 0;
    for (const output of this.outputs) {
      if ((output.type !== 'hist' && output.type !== 'map') || output.name !== `@${map}`) continue;
      for (const row of output.rows) {
        if (!row.key.startsWith(keyBegins)) continue;
        if ('value' in row) sum += Number(row.value);
        else sum += row.buckets.reduce((total, { count }) => total + count, 0);
      }
    }
    return sum;
  }

  maps(): string[] {
    return this.outputs.flatMap((one) =>
      (one.type === 'hist' || one.type === 'map') && one.rows.length > 0 ? [one.name] : [],
    );
  }
}

/** Runs a bundled script; `stop` lets it print. */
export async function runBundled(
  name: string,
  bpftrace: Bpftrace,
): Promise<{ stop(): Promise<Printed> }> {
  const outputs: ScriptOutput[] = [];
  const problems: string[] = [];
  let begun = (): void => {};
  const attached = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const script = startScript({
    bpftrace,
    file: scriptFile(name),
    stopMsMax: STOP_MS_MAX,
    onOutput: (output) => {
      outputs.push(output);
      if (output.type === 'printf') begun();
    },
    onProblem: (problem) => problems.push(problem),
  });
  const printed = script.done.then(({ reason }) => new Printed(outputs, problems, reason));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ATTACH_MS_MAX);
  });
  await Promise.race([attached, printed, late]);
  clearTimeout(timer);
  return {
    stop: () => {
      void script.stop();
      return printed;
    },
  };
}
