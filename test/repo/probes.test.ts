// House rules: everything that belongs to a probe carries its id, and nothing of it is missing; no other file
// names a probe without a reason, so that the next one touches few ("How to add a probe" of src/README.md).

import { describe, expect, test } from 'vitest';
import { CATALOGUE, PROBES } from '../../src/probes/index.ts';
import { SETTINGS_FILES, withSettings } from '../../tools/generate_settings.ts';
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

/** Where the product names each probe. */
const BY_HAND = [
  'bpf/<id>.h',
  'bpf/<id>.bt',
  'bpf/dispatch.h',
  'src/probes/<id>.ts',
  'src/probes/index.ts',
];
const GENERATED = ['bpf/numbers.gen.h', 'deploy/debian/rxscope.yaml'];
/** Tests that list all probes: what users rely on. */
const CONTRACTS = [
  'test/commands/program.test.ts',
  'test/config/load.test.ts',
  'test/metrics/families.test.ts',
];

/** Beyond them: the file, the probes that it names, and why. */
const ELSEWHERE: readonly (readonly [file: string, ids: readonly string[], why: string])[] = [
  ['bpf/books.h', ['softirq_to_socket', 'receive_to_socket', 'socket_to_read'], 'follow packets'],
  ['bpf/delivery.h', ['softirq_to_socket', 'receive_to_socket'], 'end at a delivery'],
  ['bpf/tcp_delivery.h', ['socket_to_read'], 'begins at a delivery'],
  ['bpf/udp_delivery.h', ['socket_to_read'], 'begins at a delivery'],
  ['bpf/hooks_interrupts.h', ['napi_poll'], 'so is the kernel’s tracepoint called'],
  ['src/capture/hooks.ts', ['napi_poll'], 'so is the kernel’s tracepoint called'],
  ['bpf/softirq_to_socket.bt', ['receive_to_socket'], 'tells the difference'],
  ['bpf/lock_sock.bt', ['receive_to_socket'], 'tells what it explains'],
  ['bpf/packet_latency.bt', ['receive_to_socket', 'socket_to_read'], 'stages of the same names'],
  ['src/probes/softirq_to_socket.ts', ['receive_to_socket'], 'advice: read together'],
  ['src/commands/run.ts', ['irq_to_softirq'], 'an example'],
  ['src/commands/record/command.ts', ['receive_to_socket'], 'an example'],
  [
    'src/publish/rules/latency_alerts.ts',
    ['irq_to_softirq', 'softirq_raise_to_entry', 'softirq_to_socket', 'receive_to_socket'],
    'advice: read together',
  ],
  [
    'src/publish/rules/cpu_alerts.ts',
    ['napi_poll', 'softirq_duration', 'softirq_to_socket'],
    'advice: where to look',
  ],
  [
    'src/publish/rules/loss_alerts.ts',
    ['backlog_wait', 'socket_to_read', 'wakeup_to_run'],
    'advice: where to look',
  ],
  [
    'tools/dashboards/path.ts',
    [
      ...['irq_to_softirq', 'softirq_to_socket', 'backlog_wait', 'receive_to_socket'],
      ...['socket_to_read', 'wakeup_to_run', 'hardirq_duration'],
    ],
    'stages of the way, and interrupts of others than network devices',
  ],
  [
    'tools/dashboards/cpus.ts',
    ['softirq_raise_to_entry', 'softirq_duration', 'hardirq_duration'],
    'panels about CPUs',
  ],
  [
    'tools/dashboards/drops.ts',
    ['napi_poll', 'socket_to_read'],
    'panels about slow readers, polls',
  ],
];

/** `drops` is left out: it is also a word, a map and a route. */
describe('only where there is need', () => {
  test.each(PROBES.map(({ id }) => ({ id })))('is $id named', ({ id }) => {
    const usual = [...BY_HAND.map((path) => path.replace('<id>', id)), ...GENERATED];
    const named = productFiles().filter((file) => names(textOf(file), id));
    const reasoned = ELSEWHERE.filter(([, ids]) => ids.includes(id)).map(([file]) => file);
    const advice =
      'let it follow from src/probes/<id>.ts, or give the reason in ELSEWHERE of this test';
    expect(named.filter((file) => !usual.includes(file)).sort(), advice).toEqual(reasoned.sort());
  });

  test('do tests list all probes', () => {
    const tests = projectFiles().filter((file) => /^test\/.*\.(ts|mjs)$/.test(file));
    const lists = tests.filter((file) => PROBES.every(({ id }) => names(textOf(file), id)));
    // These name each for a reason of its own.
    const noLists = ['test/capture/reading.test.ts', 'test/repo/probes.test.ts'];
    const listing = lists.filter((file) => !noLists.includes(file));
    expect(listing, 'take the ids from the catalogue').toEqual(CONTRACTS);
  });

  test('does src/README.md tell to do so', () => {
    const readme = textOf('src/README.md');
    for (const file of [...BY_HAND, ...GENERATED, ...CONTRACTS])
      expect(readme, 'see "How to add a probe"').toContain(`\`${file}\``);
  });
});

test.each(SETTINGS_FILES)('%s says of the probes what the catalogue says', (file) => {
  const text = textOf(file);
  expect(text === withSettings(text), 'run: npx tsx tools/generate_settings.ts').toBe(true);
});

function productFiles(): string[] {
  return projectFiles().filter(
    (file) => /^(src|bpf|native|tools|deploy)\//.test(file) && !file.endsWith('.md'),
  );
}

/** Its id, its switch, its metric, or its constants in C. */
function names(text: string, id: string): boolean {
  const pattern = `\\b(${id}(_on)?|rxscope_${id}_seconds|${id.toUpperCase()}(_[A-Z]+)*)\\b`;
  return new RegExp(pattern).test(text);
}
