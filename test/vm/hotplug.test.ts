// A CPU that is taken offline while the agent measures, and one that comes online after it started:
// in a guest, for this machine needs its own. No count runs backwards and none is lost.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/probes/index.ts';
import {
  brokenHistograms,
  type Exposition,
  fallsBetween,
  readExposition,
} from '../e2e/backwards.ts';
import { Numbers } from '../e2e/numbers.ts';
import { ROOT } from '../repo/project_files.ts';
import { GUEST_TIMEOUT_MS, runInGuest } from './guest.ts';

const DATAGRAMS = 211;
const TURNS = 5;
/** A series for each CPU, the histograms' too, and none of them folded. */
const CONFIG = `labels: { cpu: always }\nseries_max: 20000\nprobes:\n${CATALOGUE.map(
  ({ id }) => `  ${id}: { enabled: true }\n`,
).join('')}`;

interface Scrape {
  readonly phase: string;
  readonly exposition: Exposition;
}

interface Run {
  readonly scrapes: readonly Scrape[];
  readonly code: unknown;
  readonly log: readonly string[];
}

let folder = '';
const runs = new Map<string, Run>();
beforeAll(async () => {
  // On the root file system, the only one that a guest sees.
  folder = mkdtempSync('/var/tmp/rxscope-hotplug-');
  const traffic = join(folder, 'traffic');
  const source = fileURLToPath(new URL('../kernel/traffic/traffic.cc', import.meta.url));
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', traffic, source]);
  const config = join(folder, 'everything.yaml');
  writeFileSync(config, CONFIG);
  const lines = await runInGuest({
    series: '6.12-cloud',
    script: 'hotplug_guest.mjs',
    args: [join(ROOT, 'dist/commands/main.js'), traffic, `${DATAGRAMS}`, `${TURNS}`, config],
  });
  for (const agent of ['online', 'offline']) runs.set(agent, runOf(lines, agent));
}, GUEST_TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function runOf(lines: readonly Readonly<Record<string, unknown>>[], agent: string): Run {
  const own = lines.filter((line) => line.agent === agent);
  const scrapes = own.flatMap(({ phase, status, text }) => {
    if (phase === 'end') return [];
    expect(status).toBe(200);
    return [{ phase: String(phase), exposition: readExposition(Buffer.from(String(text))) }];
  });
  const { code, log } = own.at(-1) ?? {};
  return { scrapes, code, log: log as readonly string[] };
}

function of(agent: string): Run {
  const run = runs.get(agent);
  if (run === undefined) throw new Error(`no agent ${agent}`);
  return run;
}

const UDP = { device: 'lo', protocol: 'udp' };
const OBSERVED = 'rxscope_receive_to_socket_seconds_count';

/** What CPU 1 has in all families, gauges of its backlog excepted. */
function ofCpu1({ series }: Exposition): Map<string, number> {
  return new Map([...series].filter(([key]) => key.includes('["cpu","1"]')));
}

describe.each(['online', 'offline'])('an agent that starts while CPU 1 is %s', (agent) => {
  test('answers every scrape, and ends well', () => {
    const { scrapes, code, log } = of(agent);
    expect(scrapes).toHaveLength(agent === 'online' ? 1 + 4 * TURNS : 3);
    expect(code, log.join('\n')).toBe(0);
    const errors = log.filter((line) => /"level":[56]0/.test(line));
    expect(errors).toEqual([]);
    for (const { exposition } of scrapes) {
      const numbers = new Numbers(exposition.series);
      const failed = numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1);
      expect(failed, log.join('\n')).toEqual([]);
    }
  });

  test('no count runs backwards from one scrape to the next', () => {
    const { scrapes } = of(agent);
    for (const [i, { phase, exposition }] of scrapes.entries()) {
      expect(brokenHistograms(exposition)).toEqual([]);
      const before = scrapes[i - 1];
      if (before === undefined) continue;
      const falls = fallsBetween(before.exposition, exposition);
      expect(falls, `from "${before.phase}" to "${phase}"`).toEqual([]);
    }
  });

  test('every datagram is counted, on whichever CPU', () => {
    const { scrapes } = of(agent);
    for (const [i, { phase, exposition }] of scrapes.entries()) {
      const before = scrapes[i - 1];
      if (before === undefined || !phase.endsWith('after traffic')) continue;
      const cpu = phase.startsWith('back') ? '1' : '0';
      const [now, then] = [exposition, before.exposition].map((one) =>
        new Numbers(one.series)
          .find(OBSERVED, { ...UDP, cpu })
          .reduce((sum, { value }) => sum + value, 0),
      );
      expect((now ?? 0) - (then ?? 0), phase).toBe(DATAGRAMS);
    }
  });
});

test('what CPU 1 has counted stays as it is while that is offline', () => {
  const { scrapes } = of('online');
  const pairs = scrapes.flatMap(({ phase, exposition }, i) => {
    const before = scrapes[i - 1];
    return phase === 'offline, after traffic' && before !== undefined
      ? [[before.exposition, exposition] as const]
      : [];
  });
  expect(pairs).toHaveLength(TURNS);
  for (const [before, after] of pairs) {
    const rows = ofCpu1(after);
    expect(rows.size).toBeGreaterThan(100);
    expect(rows).toEqual(ofCpu1(before));
  }
});
