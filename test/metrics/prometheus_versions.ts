// The Prometheus versions that tests run: this machine's, which is Debian 12's, and the newest that Debian
// has (newest_prometheus.sh), and what users have to set differently in each. Judges nothing.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

export interface PrometheusVersion {
  /** `Prometheus 3.5.3`: it is in the tests' names. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  /** Commands. */
  readonly prometheus: string;
  readonly promtool: string;
}

export const INSTALLED = versionOf('prometheus', 'promtool');

/**
 * Call it at the top of a test file, where tests are registered: where the newest cannot be had, there is a
 * skipped test that says why, which is a failure of the run under CI=true.
 */
export function prometheusVersions(): readonly PrometheusVersion[] {
  const newest = newestPrometheus();
  if (!('reason' in newest)) return [INSTALLED, newest];
  test.for([newest])('with the newest Prometheus', ({ reason }, { skip }) => skip(reason));
  return [INSTALLED];
}

/** Downloads it the first time. */
export function newestPrometheus(): PrometheusVersion | { readonly reason: string } {
  const script = fileURLToPath(new URL('./newest_prometheus.sh', import.meta.url));
  let folder: string;
  try {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    folder = execFileSync(script, { encoding: 'utf8', stdio: [...stdio] }).trim();
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
    return {
      reason: `nothing newer than ${INSTALLED.name} can be had: ${said.split('\n').at(-1)}`,
    };
  }
  const version = versionOf(`${folder}/prometheus`, `${folder}/promtool`);
  if (version.major >= 3) return version;
  return { reason: `${folder} has ${version.name}, which is older than 3; delete it` };
}

/** What `global` must have beside `--enable-feature=native-histograms`, which 3.9 and later ignore. */
export function nativeHistogramSettings({ major, minor }: PrometheusVersion): object {
  return major > 3 || (major === 3 && minor >= 8) ? { scrape_native_histograms: true } : {};
}

function versionOf(prometheus: string, promtool: string): PrometheusVersion {
  const numbers = [prometheus, promtool].map((program) => {
    const said = execFileSync(program, ['--version'], { encoding: 'utf8' });
    const [, number] = /version (\d+\.\d+\.\d+)/.exec(said) ?? [];
    if (number === undefined) throw new Error(`${program} does not tell its version: ${said}`);
    return number;
  });
  const [number = '', other] = numbers;
  if (number !== other) throw new Error(`prometheus ${number}, but promtool ${other}`);
  const [major = 0, minor = 0] = number.split('.').map(Number);
  return { name: `Prometheus ${number}`, major, minor, prometheus, promtool };
}
