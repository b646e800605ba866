// `rxscope dashboards`: what is printed, what is written, what is refused.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { textOf } from '../repo/project_files.ts';
import { cli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'rxscope-dashboards-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FILES = ['overview', 'path', 'drops', 'cpus', 'agent'].map((name) => `rxscope-${name}.json`);

test('prints one as it is checked in', async () => {
  const { code, out, err } = await cli(['dashboards', 'overview']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toBe(textOf('grafana/dashboards/rxscope-overview.json'));
});

test('prints all of them as a JSON array', async () => {
  const { code, out } = await cli(['dashboards']);
  expect(code).toBe(0);
  const uids = (JSON.parse(out) as { uid: string }[]).map(({ uid }) => `${uid}.json`);
  expect(uids).toEqual(FILES);
});

test('writes a file for each into a folder that it makes, and says which', async () => {
  const out = join(folder, 'new', 'place');
  const { code, out: said } = await cli(['dashboards', '--out', out, '--histograms', 'native']);
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual([...FILES].sort());
  expect(said.trim().split('\n')).toEqual(FILES.map((file) => join(out, file)));
  const path = readFileSync(join(out, 'rxscope-path.json'), 'utf8');
  expect(path).toContain('rxscope_receive_to_socket_seconds{');
  expect(path).not.toContain('rxscope_receive_to_socket_seconds_bucket{');
});

test('puts in the job and the place of the runbook', async () => {
  const { out } = await cli(
    ['dashboards', 'path'].concat('--job', 'edge', '--runbook-url', 'https://wiki/rx'),
  );
  const { templating } = JSON.parse(out) as {
    templating: { list: { name: string; query: unknown; current?: { value: unknown } }[] };
  };
  const found = (name: string) => templating.list.find((one) => one.name === name);
  expect(found('job')?.current?.value).toBe('edge');
  expect(found('runbook')?.query).toBe('https://wiki/rx');
});

test.each([
  [['overvew'], 'rxscope dashboards: no dashboard "overvew"; did you mean overview?'],
  [
    ['everything'],
    'rxscope dashboards: no dashboard "everything"; there are overview, path, drops, cpus, agent',
  ],
  [['--histograms', 'both'], '--histograms: got "both", expected auto, native or classic'],
  [['--job', ''], '--job: got "", expected the name of a scrape job'],
])('%j is refused', async (words, message) => {
  const { code, out, err } = await cli(['dashboards', ...words]);
  expect({ code, out, err }).toEqual({ code: 2, out: '', err: `${message}\n` });
});
