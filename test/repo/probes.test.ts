// House rule: everything that belongs to a probe carries its id, and nothing of it is missing.

import { describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/probes/index.ts';
import { projectFiles, textOf } from './project_files.ts';

describe.each(CATALOGUE.map(({ id }) => ({ id })))('the probe $id', ({ id }) => {
  test('has its kernel source', () => {
    expect(projectFiles(), `write bpf/${id}.h`).toContain(`bpf/${id}.h`);
  });

  test('has its description', () => {
    expect(projectFiles(), `write src/probes/${id}.ts`).toContain(`src/probes/${id}.ts`);
  });

  test('has a row in the README', () => {
    const row = new RegExp(`^\\|.*\\b${id}(_seconds)?\\b.*\\|`, 'm');
    expect(row.test(textOf('README.md')), `add a table row on ${id} to README.md`).toBe(true);
  });

  test('is named by a test of real packets', () => {
    const tests = projectFiles().filter((file) => /^test\/(kernel|vm)\/.*\.ts$/.test(file));
    const naming = tests.filter((file) => textOf(file).includes(`'${id}'`));
    expect(naming, `write a test that measures ${id}, below test/kernel`).not.toEqual([]);
  });
});
