// The folder of --out, as both commands that have one make it: what is there already, and what cannot be.

import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratch } from '../e2e/scratch.ts';
import { cli } from './harness.ts';

const { folder } = scratch();

describe.each(['rules', 'dashboards'])('rxscope %s --out', (command) => {
  test.each([
    // Node's own recursive mkdir never returns from these two.
    [
      'a folder of the kernel’s',
      '/proc/x',
      /^rxscope: --out \/proc\/x: \/proc\/x cannot .*\(ENOENT\)/,
    ],
    ['one below it', '/proc/x/y', /^rxscope: --out \/proc\/x\/y: \/proc\/x cannot .*\(ENOENT\)/],
    ['below a file', '/dev/null/x', /^rxscope: --out \/dev\/null\/x: .* cannot .*\(ENOTDIR\)/],
    ['a file', '/dev/null', /^rxscope: --out \/dev\/null: \/dev\/null\/\S+ cannot .*\(ENOTDIR\)/],
    ['nothing', '', /^rxscope: --out: expected a folder, got an empty one\n$/],
  ])('refuses %s', async (_, out, message) => {
    const outcome = await cli([command, '--out', out]);
    expect(outcome).toMatchObject({ code: 1, out: '' });
    expect(outcome.err).toMatch(message);
    expect(outcome.err).toMatch(/^[^\n]+\n$/);
  });

  test('takes a folder that is there, also through a link, and leaves what else is in it', async () => {
    const there = join(folder, command);
    mkdirSync(there);
    writeFileSync(join(there, 'kustomization.yaml'), 'mine');
    symlinkSync(there, `${there}-link`);
    for (const path of [there, `${there}-link`, join(there, 'a/b/../c/')]) {
      expect(await cli([command, '--out', path])).toMatchObject({ code: 0, err: '' });
    }
    expect(readdirSync(there)).toContain('kustomization.yaml');
    expect(readdirSync(join(there, 'a'))).toEqual(['c']);
  });
});
