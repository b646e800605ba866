// `rxscope rules` as a command line: what it prints and writes, and what it refuses.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ruleFiles, rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS, THRESHOLD_NAMES, THRESHOLDS } from '../../src/publish/rules/options.ts';
import { scratch } from '../e2e/scratch.ts';
import { cli } from './harness.ts';

const { folder } = scratch();

test('without options it prints the rules as they are checked in', async () => {
  expect(await cli(['rules'])).toMatchObject({
    code: 0,
    err: '',
    out: readFileSync('grafana/alerts/rxscope.rules.yaml', 'utf8'),
  });
});

test('--out writes all files, and says which', async () => {
  const out = join(folder, 'a/b');
  const outcome = await cli(['rules', '--out', out, '--job', 'net']);
  const files = ruleFiles({ ...STANDARD_OPTIONS, job: 'net' });
  expect(outcome).toMatchObject({ code: 0, err: '' });
  expect(outcome.out).toBe([...files.keys()].map((name) => `${join(out, name)}\n`).join(''));
  expect(readdirSync(out).sort()).toEqual([...files.keys()].sort());
  for (const [name, text] of files) expect(readFileSync(join(out, name), 'utf8')).toBe(text);
});

test('takes all of its options', async () => {
  const { out, code } = await cli([
    ...['rules', '--job', 'net', '--histograms', 'native', '--window', '1m30s'],
    ...['--runbook-url', 'https://wiki.example/rx?page=1', '--loss-reason', 'NO_SOCKET'],
    ...['--loss-reason', 'IP_RPFILTER'],
    ...THRESHOLD_NAMES.flatMap((name) => [
      `--${THRESHOLDS[name].flag}`,
      String(THRESHOLDS[name].min),
    ]),
  ]);
  const thresholds = Object.fromEntries(
    THRESHOLD_NAMES.map((name) => [name, THRESHOLDS[name].min]),
  );
  expect(code).toBe(0);
  expect(out).toBe(
    rulesYaml({
      job: 'net',
      histograms: 'native',
      windowMs: 90_000,
      runbookUrl: 'https://wiki.example/rx?page=1',
      lossReasons: ['NO_SOCKET', 'IP_RPFILTER'],
      thresholds: thresholds as typeof STANDARD_OPTIONS.thresholds,
    }),
  );
});

test('its help states a default for each option', async () => {
  const { out } = await cli(['rules', '--help']);
  const options = out.split(/^Options:\n|\n\n/m)[3] ?? '';
  const described = options.split(/\n(?= {2}-)/).filter((text) => !text.includes('--help'));
  expect(described.length).toBe(6 + THRESHOLD_NAMES.length);
  for (const text of described) expect(text.replaceAll(/\s+/g, ' ')).toMatch(/\(default: .+\)$/);
});

describe('is refused', () => {
  test.each([
    {
      title: 'a form of histograms with a typo',
      argv: ['--histograms', 'nativ'],
      err: '--histograms: got "nativ", expected auto, native or classic; did you mean native?\n',
    },
    {
      title: 'a window that is none',
      argv: ['--window', '5'],
      err: '--window: got "5", expected a duration of Prometheus such as 5m or 15s, from 2s to 1h\n',
    },
    {
      title: 'a window of no use',
      argv: ['--window', '1s'],
      err: '--window: got "1s", expected a duration of Prometheus such as 5m or 15s, from 2s to 1h\n',
    },
    {
      title: 'a threshold that is no number',
      argv: ['--softirq-max', '40%'],
      err: '--softirq-max: got "40%", expected a number from 0.01 to 1\n',
    },
    {
      title: 'a threshold that cannot be meant',
      argv: ['--softirq-max=40'],
      err: '--softirq-max: got "40", expected a number from 0.01 to 1\n',
    },
    {
      title: 'an empty threshold and an empty job',
      argv: ['--job', '', '--rate-min', ''],
      err:
        '--job: got "", expected the name of a scrape job\n' +
        '--rate-min: got "", expected a number from 0 to 1000000\n',
    },
    {
      title: 'a reason that is none',
      argv: ['--loss-reason', 'NO_SOCKET|.*'],
      err: '--loss-reason: got "NO_SOCKET|.*", expected a reason such as NO_SOCKET\n',
    },
    {
      title: 'an address with an anchor',
      argv: ['--runbook-url', 'https://wiki.example/#x'],
      err: '--runbook-url: got "https://wiki.example/#x", expected an address without # and spaces\n',
    },
  ])('$title', async ({ argv, err }) => {
    expect(await cli(['rules', ...argv])).toMatchObject({ code: 2, out: '', err });
  });
});
