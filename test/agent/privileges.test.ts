// Which capabilities the agent keeps, and what for; that it drops the others is seen in
// test/native/capabilities.test.ts and test/e2e/permissions.test.ts.

import { chmodSync, chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { capabilitiesToKeep, readableByMode, type Uses } from '../../src/agent/privileges.ts';
import type { Permissions } from '../../src/capture/capabilities.ts';
import { scratch } from '../e2e/scratch.ts';

const files = scratch();
const NOTHING: Uses = { bpfStats: false, bpftrace: false, configFile: undefined, webFiles: [] };
const NOBODY = 65534;

function permitted(perfEventParanoid: number, held: Permissions['held'] = new Set()): Permissions {
  return { held, inUserNamespace: false, perfEventParanoid };
}

/** A configuration in a folder of its own, with these modes, owned by nobody. */
function fileOfNobody(name: string, folderMode: number, mode: number): string {
  const folder = join(files.folder, name);
  mkdirSync(folder);
  const file = files.write(`${name}/config.yaml`, '');
  for (const path of [folder, file]) chownSync(path, NOBODY, NOBODY);
  chmodSync(file, mode);
  chmodSync(folder, folderMode);
  return file;
}

describe('what is kept', () => {
  test.each([
    { uses: NOTHING, paranoid: 3, kept: [] },
    { uses: { ...NOTHING, bpfStats: true }, paranoid: 3, kept: ['CAP_BPF'] },
    {
      uses: { ...NOTHING, bpftrace: true },
      paranoid: 2,
      kept: ['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_ADMIN', 'CAP_SYS_RESOURCE'],
    },
    {
      uses: { ...NOTHING, bpftrace: true, bpfStats: true },
      paranoid: 3,
      kept: ['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_ADMIN', 'CAP_SYS_RESOURCE'],
    },
  ])('$kept with perf_event_paranoid $paranoid', ({ uses, paranoid, kept }) => {
    const keep = capabilitiesToKeep(uses, permitted(paranoid), { uid: 0, gids: [0] });
    expect([...keep.keys()].sort()).toEqual(kept);
  });

  test('more for bpftrace where the user is not root, who owns tracefs', () => {
    const who = { uid: NOBODY, gids: [NOBODY] };
    const keep = capabilitiesToKeep({ ...NOTHING, bpftrace: true }, permitted(2), who);
    expect([...keep.keys()]).toEqual(
      expect.arrayContaining(['CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH']),
    );
  });

  test('what opens a closed folder, where it is held and only then', () => {
    const configFile = fileOfNobody('closed', 0o700, 0o644);
    const uses = { ...NOTHING, configFile };
    const held = new Set(['CAP_DAC_READ_SEARCH'] as const);
    const keep = capabilitiesToKeep(uses, permitted(2, held));
    expect([...keep]).toEqual([['CAP_DAC_READ_SEARCH', `reads ${configFile} again at SIGHUP`]]);
    expect(capabilitiesToKeep(uses, permitted(2))).toEqual(new Map());
    const override = new Set(['CAP_DAC_OVERRIDE'] as const);
    const other = capabilitiesToKeep(uses, permitted(2, override));
    expect([...other.keys()]).toEqual(['CAP_DAC_OVERRIDE']);
    const webFiles = [fileOfNobody('key', 0o755, 0o600), fileOfNobody('cert', 0o755, 0o644)];
    expect([...capabilitiesToKeep({ ...uses, webFiles }, permitted(2, held)).values()]).toEqual([
      `reads ${configFile} again at SIGHUP; reads ${webFiles[0]} again when changed`,
    ]);
    const open = fileOfNobody('open', 0o755, 0o644);
    expect(capabilitiesToKeep({ ...NOTHING, configFile: open }, permitted(2, held)).size).toBe(0);
  });
});

describe('a file can be read by its modes', () => {
  const nobody = { uid: NOBODY, gids: [NOBODY] };
  const group = { uid: 1009, gids: [1013, NOBODY] };
  const other = { uid: 1009, gids: [1013] };
  test.each([
    { name: 'private', folder: 0o700, mode: 0o600, readers: [nobody] },
    { name: 'grouped', folder: 0o750, mode: 0o640, readers: [nobody, group] },
    { name: 'search-only', folder: 0o711, mode: 0o644, readers: [nobody, group, other] },
    // The owner is judged by the owner's bits alone.
    { name: 'upside-down', folder: 0o755, mode: 0o044, readers: [group, other] },
    { name: 'no-search', folder: 0o766, mode: 0o644, readers: [nobody] },
  ])('$name: only by whom they name', ({ name, folder, mode, readers }) => {
    chmodSync(files.folder, 0o755);
    const file = fileOfNobody(name, folder, mode);
    const able = [nobody, group, other].filter((who) => readableByMode(file, who));
    expect(able).toEqual(readers);
  });

  test('a link is followed, and what is not there needs nothing', () => {
    const file = fileOfNobody('linked', 0o700, 0o644);
    const link = join(files.folder, 'link.yaml');
    symlinkSync(file, link);
    expect(readableByMode(link, other)).toBe(false);
    expect(readableByMode(link, nobody)).toBe(true);
    expect(readableByMode(join(dirname(file), 'absent.yaml'), other)).toBe(true);
  });
});
