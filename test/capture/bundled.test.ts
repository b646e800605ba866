// The bundled bpftrace scripts as texts: each says what it is for, how its output looks and reads,
// what it cannot do and what it needs. What they measure is tested in test/kernel.

import { describe, expect, test } from 'vitest';
import { bundledScripts, summaryOf } from '../../src/capture/bpftrace/bundled.ts';
import { PROBES } from '../../src/probes/index.ts';
import { textOf } from '../repo/project_files.ts';

const FIELD_TOOLS = ['lock_sock', 'packet_latency', 'softirq_delay'];

test('there is one for each probe that says so, and the field tools', () => {
  expect(bundledScripts().map(({ name }) => name)).toEqual(
    [...FIELD_TOOLS, ...PROBES.filter(({ script }) => script).map(({ id }) => id)].sort(),
  );
});

describe.each(bundledScripts())('$name', ({ name, summary }) => {
  const text = textOf(`bpf/${name}.bt`);
  const header = /^#!\/usr\/bin\/env bpftrace\n\/\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';

  test('opens with its purpose', () => {
    expect(header).toMatch(new RegExp(`^\\n \\* ${name}\\.bt: (how long|who|where) `));
    expect(summary.length).toBeGreaterThan(20);
  });

  test('shows an output', () => {
    expect(header, 'a histogram, as bpftrace draws it').toMatch(
      /^ \* +\[\w+, \w+\) +\d+ \|@+ *\|$/m,
    );
  });

  test.each(['How to read it: ', 'Caveats: ', 'Needs: Linux ', 'By hand: '])('says %j', (words) => {
    expect(header).toContain(` * ${words}`);
  });

  test('keeps to itself what it only remembers', () => {
    // Whatever a script keeps by address, CPU or thread is of no use to who reads the output.
    const end = /^END\n\{\n([\s\S]*?)^\}/m.exec(text)?.[1] ?? '';
    const kept = [...text.matchAll(/^\s*(?:delete\((@\w+)\[|(@\w+)\[cpu)/gm)].map(
      (match) => match[1] ?? match[2] ?? '',
    );
    for (const map of new Set(kept)) expect(end, `clear(${map})`).toContain(`clear(${map});`);
  });

  test('has a row of a table', () => {
    const row = new RegExp(`^\\|.*\\b${name}\\b.*\\|`, 'm');
    // Of a probe, or of a field tool.
    const pages = textOf('README.md') + textOf('docs/field-tools.md');
    expect(row.test(pages), `add a row on ${name} to docs/field-tools.md`).toBe(true);
  });
});

test.each([
  { text: '#!x\n/*\n * a.bt: how long it is. More.\n */', summary: 'how long it is' },
  {
    text: '/*\n * a.bt: how long\n * it is, by CPU: exactly.\n */',
    summary: 'how long it is, by CPU',
  },
  { text: '/* b, from 5.10 on */', summary: 'b, from 5.10 on' },
  { text: 'BEGIN {}', summary: '' },
])('the summary of $text is "$summary"', ({ text, summary }) => {
  expect(summaryOf(text)).toBe(summary);
});
