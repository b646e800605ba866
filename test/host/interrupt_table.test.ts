// The bytes of /proc/interrupts: of this machine, of others, and of generated ones, against a reader
// that takes its time.

import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readCpus } from '../../src/host/cpus.ts';
import { parseInterrupts } from '../../src/host/interrupt_table.ts';
import { readInterrupts } from '../../src/host/interrupts.ts';
import { machine, machineNames, withTree } from './machines.ts';

function parse(text: string) {
  return parseInterrupts(new TextEncoder().encode(text));
}

/** Counts by label, from words: what any careful reader of the file would say. */
function slowly(text: string): Map<string, number[]> {
  const [header = '', ...lines] = text.split('\n');
  const cpus = header.trim().split(/\s+/).length;
  return new Map(
    lines
      .filter((line) => line.includes(':'))
      .map((line) => {
        const colon = line.indexOf(':');
        const words = line
          .slice(colon + 1)
          .trim()
          .split(/\s+/);
        const end = words.findIndex((word) => !/^\d+$/.test(word));
        const counts = words.slice(0, end < 0 ? cpus : Math.min(cpus, end)).map(Number);
        return [line.slice(0, colon).trim(), [...counts, ...zeros(cpus - counts.length)]];
      }),
  );
}

function zeros(n: number): number[] {
  return Array.from({ length: n }, () => 0);
}

describe.each(machineNames())('the table of %s', (name) => {
  test('has every row of the file, with its counts', () => {
    const text = readFileSync(join(machine(name).proc, 'interrupts'), 'utf8');
    const { rows, torn } = parse(text);
    expect(torn).toBe(0);
    const found = new Map(rows.map(({ irq, counts }) => [String(irq), [...counts]]));
    expect(found).toEqual(slowly(text));
    // Spaces between chip and name, so that neither has swallowed the other.
    for (const { irq, name: actions } of rows) {
      if (typeof irq === 'number') expect(actions).not.toMatch(/edge|fasteoi|MSI|^\s|\s$/);
    }
  });
});

test('this machine, read now, has its online CPUs and no torn row', () => {
  const { cpus, rows, torn } = readInterrupts();
  const online = readFileSync('/proc/stat', 'utf8').match(/^cpu\d+/gm) ?? [];
  expect(cpus.map((cpu) => `cpu${cpu}`)).toEqual(online);
  expect(torn).toBe(0);
  expect(rows.map(({ irq }) => irq)).toContain('LOC');
});

test('on this machine each row sums up to what /proc/stat says before and after', () => {
  const before = interruptTotals();
  const { rows, cpus } = readInterrupts();
  const after = interruptTotals();
  // /proc/stat counts what CPUs did that are offline by now; the table does not show them.
  const all = cpus.length === readCpus().possible.length;
  for (const { irq, counts } of rows) {
    if (typeof irq !== 'number') continue;
    const sum = counts.reduce((total, n) => total + n, 0);
    expect(sum).toBeLessThanOrEqual(after[irq] ?? 0);
    if (all) expect(sum).toBeGreaterThanOrEqual(before[irq] ?? 0);
  }
});

/** By interrupt number, over all CPUs. */
function interruptTotals(): number[] {
  const line = /^intr \d+(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'));
  return (line?.[1] ?? '').trim().split(' ').map(Number);
}

test('CPUs are columns by the header, whatever their numbers', () => {
  // CPU 1 of the guest is offline.
  const { cpus, rows } = readInterrupts(machine('guest'));
  expect(cpus).toEqual([0, 2, 3]);
  const row = rows.find(({ name }) => name === 'eth3-rxtx-1');
  expect(row?.counts.length).toBe(3);
});

test.each([
  [
    'x86 with vectors',
    ' 38:        181 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0',
    'PCI-MSIX-0000:00:03.0 1-edge',
    'virtio2-input.0',
  ],
  [
    'several handlers on one line',
    ' 16:        181   IO-APIC  16-fasteoi   ehci_hcd:usb1, eth1',
    'IO-APIC 16-fasteoi',
    'ehci_hcd:usb1, eth1',
  ],
  [
    'a handler whose name has spaces',
    '141:        181  IR-PCI-MSI 333824-edge      iwlwifi: default queue',
    'IR-PCI-MSI 333824-edge',
    'iwlwifi: default queue',
  ],
  [
    'no handler',
    ' 67:        181  PCI-MSIX-0000:27:00.0   2-edge    ',
    'PCI-MSIX-0000:27:00.0 2-edge',
    '',
  ],
  [
    'ARM, where the trigger is a word',
    ' 24:        181     GICv2  56 Level     eth0',
    'GICv2 56 Level',
    'eth0',
  ],
  [
    'ARM without a trigger, and a chip named like a number',
    ' 69:        181  f1018140.gpio   0  gpio_keys',
    'f1018140.gpio 0',
    'gpio_keys',
  ],
  ['ARM without a handler', ' 97:        181       icu  97', 'icu 97', ''],
  [
    'a chip of two words',
    ' 26:        181  SiFive PLIC 131 Edge      eth0',
    'SiFive PLIC 131 Edge',
    'eth0',
  ],
  ['squeezed by a forum', '40: 181 PCI-MSI-edge eth0-TxRx-0', 'PCI-MSI-edge', 'eth0-TxRx-0'],
])('chip and name of a line are told apart: %s', (_, line, chip, name) => {
  const [row] = parse(`           CPU0       \n${line}\n`).rows;
  expect(row).toMatchObject({ chip, name, counts: new Float64Array([181]) });
});

test('what the architecture counts has its label for a number and its text for a name', () => {
  const { rows } = parse(
    [
      '           CPU0       CPU1       ',
      'LOC:    3592336    3200689   Local timer interrupts',
      'ERR:          7',
      'IPI0:      6198      35663  Rescheduling interrupts',
      '',
    ].join('\n'),
  );
  expect(rows).toEqual([
    {
      irq: 'LOC',
      name: 'Local timer interrupts',
      chip: '',
      counts: new Float64Array([3592336, 3200689]),
    },
    { irq: 'ERR', name: '', chip: '', counts: new Float64Array([7, 0]) },
    {
      irq: 'IPI0',
      name: 'Rescheduling interrupts',
      chip: '',
      counts: new Float64Array([6198, 35663]),
    },
  ]);
});

test('a count just below its wrap at 2^32 is read whole, beside one that has wrapped', () => {
  const { rows } = parse(
    '           CPU0       CPU1       \n 24: 4294967295          3  X  eth0\n',
  );
  expect([...(rows[0]?.counts ?? [])]).toEqual([4294967295, 3]);
});

test('rows with a CPU more or less than the header are left out and counted', () => {
  const { rows, torn } = parse(
    [
      '           CPU0       CPU1       ',
      ' 24:          1          2   IO-APIC   5-edge      one',
      // CPU 1 went offline while the kernel printed, then CPUs 1 and 2 came.
      ' 25:          1   IO-APIC   6-edge      two',
      ' 26:          1          2          3   IO-APIC   7-edge      three',
      'LOC:          1          2          3   Local timer interrupts',
      ' 27:          4          5   IO-APIC   8-edge      four',
      '',
    ].join('\n'),
  );
  expect(rows.map(({ name, counts }) => [name, ...counts])).toEqual([
    ['one', 1, 2],
    ['four', 4, 5],
  ]);
  expect(torn).toBe(3);
});

test('a row that nobody counts is as good as any other, on one CPU and on two', () => {
  for (const header of ['           CPU0       CPU1       ', '           CPU0       ']) {
    const { rows, torn } = parse(`${header}\nFIQ:              usb_fiq\nErr:          3\n`);
    expect(torn).toBe(0);
    expect(rows.map(({ irq, name, counts }) => [irq, name, counts[0]])).toEqual([
      ['FIQ', 'usb_fiq', 0],
      ['Err', '', 3],
    ]);
  }
});

test('a table that stays torn is handed out as far as it is whole', () => {
  withTree(({ roots, write }) => {
    write({ 'proc/interrupts': '           CPU0       CPU1       \n 25:          1   X  one\n' });
    expect(readInterrupts(roots)).toMatchObject({ cpus: [0, 1], rows: [], torn: 1 });
  });
});

test.each(['', '\n', 'no table at all', '           CPU0       \n', ':::\n:\n 1:'])(
  'text that is no table, %j, has no rows with counts and does not throw',
  (text) => {
    expect(parse(text).rows.flatMap(({ counts }) => [...counts])).toEqual([]);
  },
);

test('without the file it throws, so that the collector can say so', () => {
  expect(() => readInterrupts({ proc: '/nonexistent', sys: '/sys' })).toThrow(/ENOENT/);
});

test.each([
  ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ['a folder', (path: string) => mkdirSync(path)],
  ['an endless device', (path: string) => symlinkSync('/dev/zero', path)],
])('%s in its place is refused at once', (_what, make) => {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-interrupts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const interrupts = join(folder, 'interrupts');
  make(interrupts);
  expect(() => readInterrupts({ proc: '/proc', sys: '/sys', interrupts })).toThrow(
    `${interrupts}: not a regular file, expected the kernel's /proc/interrupts: is it hidden by a container runtime? If not, check RXSCOPE_INTERRUPTS_FILE`,
  );
});

test('a large file without a line in its place is refused before it fills the memory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-interrupts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const interrupts = join(folder, 'interrupts');
  writeFileSync(interrupts, '');
  truncateSync(interrupts, 10 * 1024 ** 3);
  expect(() => readInterrupts({ proc: '/proc', sys: '/sys', interrupts })).toThrow(
    /longer than \d+ bytes$/,
  );
});

test('any table is read as a careful reader would, in the form of the kernel and in any other', () => {
  const table = fc
    .record({
      cpus: fc.uniqueArray(fc.nat(4095), { minLength: 1, maxLength: 9 }),
      rows: fc.array(fc.array(fc.nat(4294967295), { minLength: 9, maxLength: 9 }), {
        maxLength: 9,
      }),
      width: fc.constantFrom(10, 10, 10, 1, 4, 12),
    })
    .map(({ cpus, rows, width }) => {
      const header = cpus.map((cpu) => `CPU${cpu}`.padEnd(Math.max(width + 1, 9))).join('');
      const lines = rows.map((counts, index) => {
        const words = counts.slice(0, cpus.length).map((n) => ` ${String(n).padStart(width)}`);
        return `${index + 20}:${words.join('')}   IO-APIC   5-edge      eth0-rx-${index}\n`;
      });
      return `${' '.repeat(12)}${header}\n${lines.join('')}`;
    });
  fc.assert(
    fc.property(table, (text) => {
      const { rows, torn } = parse(text);
      expect(torn).toBe(0);
      expect(new Map(rows.map(({ irq, counts }) => [String(irq), [...counts]]))).toEqual(
        slowly(text),
      );
      expect(rows.map(({ name }) => name)).toEqual(rows.map((_, index) => `eth0-rx-${index}`));
    }),
  );
});
