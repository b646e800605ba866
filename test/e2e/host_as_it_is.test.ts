// The agent on hosts that show little, or something else than they are: files of /proc and /sys hidden by a
// container's runtime, sysfs of another network namespace, device names of any bytes. All of it is made in
// namespaces that only the agent sees.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listDevices } from '../../src/host/devices.ts';
import { parseText } from '../metrics/decode.ts';
import { type AgentProcess, RXSCOPE, Rxscope, startAgent } from './agent_process.ts';
import { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';
import { after, hiding } from './surroundings.ts';

const files = scratch();
const EMPTY = files.write('empty', '');
const FOLDER = files.folder;

/** All that the agent reads of /proc and /sys by itself: what libbpf needs to load is left alone. */
const READ = [
  '/proc/stat',
  '/proc/softirqs',
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/modules',
  '/proc/sys/kernel/osrelease',
  '/proc/sys/net/core',
  '/proc/sys',
  '/sys/class/net',
  '/sys/class',
  '/sys/bus',
  '/sys/devices/pci0000:00',
  '/sys/devices/virtual',
  '/sys/devices/system/node',
  '/sys/devices/system/cpu/online',
].filter((path) => existsSync(path));
/** Of the agent's own process, which can be hidden only once it is there. */
const OWN = ['net', 'status', 'limits', 'fd', 'task'];

function failedIn(numbers: Numbers): string[] {
  return numbers
    .find('rxscope_collector_success')
    .flatMap(({ labels, value }) => (value === 0 ? [labels.collector ?? ''] : []));
}

async function failed(agent: AgentProcess): Promise<string[]> {
  return failedIn(await agent.numbers());
}

async function statuses(agent: AgentProcess): Promise<string[]> {
  const paths = [
    '/metrics',
    '/-/ready',
    '/',
    '/api/v1/outliers',
    '/api/v1/drops',
    '/api/v1/probes',
  ];
  const answers = paths.map(async (path) => `${(await fetch(agent.url + path)).status} ${path}`);
  return Promise.all(answers);
}

describe('with a file hidden', () => {
  let agent: AgentProcess;

  function inside(...command: readonly string[]): void {
    execFileSync('nsenter', ['--mount', `--target=${agent.pid}`, '--', ...command]);
  }

  function hide(path: string): void {
    const isFolder = statSync(path).isDirectory();
    if (isFolder) inside('mount', ...hiding(path));
    else inside('mount', '--bind', '/dev/null', path);
  }

  beforeAll(async () => {
    agent = await startAgent([], after([]));
  });
  afterAll(async () => {
    await agent.stop();
  });

  const own = (): string[] => OWN.map((file) => `/proc/${agent.pid}/${file}`);

  test.each([...READ, ...OWN])('%s: every page is served, and it is ready', async (file) => {
    const path = file.startsWith('/') ? file : `/proc/${agent.pid}/${file}`;
    hide(path);
    try {
      expect((await statuses(agent)).filter((one) => !/^(200|404) /.test(one))).toEqual([]);
    } finally {
      inside('umount', path);
    }
    expect(agent.stderr).not.toMatch(/\n\s+at /);
  });

  test('all of them: what cannot be read is told once, and the rest is served', async () => {
    const hidden = [...READ, ...own()].filter(
      // Of two of which one contains the other, the outer one.
      (path, _, all) => !all.some((other) => path.startsWith(`${other}/`)),
    );
    hidden.forEach(hide);
    try {
      expect((await statuses(agent)).filter((one) => !/^(200|404) /.test(one))).toEqual([]);
      const told = agent.logs().length;
      expect(await failed(agent)).toEqual(
        expect.arrayContaining(['cpu_times', 'softnet', 'softirqs', 'interrupt_counts', 'devices']),
      );
      expect(agent.logs().length).toBe(told);
    } finally {
      for (const path of hidden.toReversed()) inside('umount', path);
    }
    expect(await failed(agent)).toEqual([]);
  });
});

describe('from the start', () => {
  const SUBSET = [['-t', 'proc', '-o', 'subset=pid', 'proc', '/proc']] as const;

  test('/proc shows processes only: it measures, and says what it cannot read', async () => {
    const agent = await startAgent([], after(SUBSET));
    expect((await statuses(agent)).filter((one) => !/^(200|404) /.test(one))).toEqual([]);
    expect(await failed(agent)).toEqual([
      'cpu_times',
      'softnet',
      'softirqs',
      'interrupt_counts',
      'protocols',
    ]);
    expect(agent.stderr).not.toMatch(/at \S+ \(/);
    await agent.stop();
  });

  test.each([
    ['/proc shows processes only', SUBSET],
    ['/proc/interrupts is masked', [['--bind', '/dev/null', '/proc/interrupts']]],
    ['/proc/interrupts is empty', [['--bind', EMPTY, '/proc/interrupts']]],
  ] as const)('%s: record measures, and says so in one sentence', async (_, mounts) => {
    const record = new Rxscope(['record', '--duration', '300ms', '--json'], after(mounts));
    const { code, stdout, stderr } = await record.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ exact: false });
    expect(stderr).toMatch(/^rxscope: interrupts have no names: .*\/proc\/interrupts.*\n$/);
  });
});

/** Bytes of names, and how they are shown. `\` for the shell's printf. */
const NAMES = [
  ['caf\\351', 'caf\\xe9'],
  ['caf\\350', 'caf\\xe8'],
  ['unicode\\303\\251', 'unicodeé'],
  ['fourteen_bytes\\303', 'fourteen_bytes\\xc3'],
  ['(other)', '\\x28other)'],
  ['(other netns)'.replace(' ', '_'), '\\x28other_netns)'],
  ['\\033x\\007', '\\x1bx\\x07'],
] as const;
const PACKETS = 31;

describe('in a network namespace of its own, with the sysfs of another', () => {
  const here = `rxh-${process.pid}`;
  const there = `rxp-${process.pid}`;
  /** So that numbers mean another device there than here. */
  const first = Math.min(...listDevices().flatMap(({ ifindex }) => (ifindex > 1 ? [ifindex] : [])));

  beforeAll(() => {
    // Names of any bytes: by a file, since arguments are UTF-8 for Node.
    const lines = NAMES.flatMap(([bytes], at) => {
      const name = `"$(printf '${bytes}')"`;
      return [
        `ip -n ${here} link add ${name} index ${first + at} type veth peer name p${at} netns ${there}`,
        `ip -n ${here} link set ${name} address 02:00:00:00:01:0${at} up`,
        `ip -n ${there} link set p${at} up`,
        `ip -n ${there} addr add 10.9.${at}.2/24 dev p${at}`,
        `ip -n ${there} neigh replace 10.9.${at}.1 lladdr 02:00:00:00:01:0${at} dev p${at} nud permanent`,
      ];
    });
    const quiet =
      'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1';
    const script = [
      'set -e',
      ...[here, there].flatMap((ns) => [`ip netns add ${ns}`, `ip netns exec ${ns} ${quiet}`]),
      `ip -n ${here} link set lo up`,
      ...lines,
    ].join('\n');
    const file = join(FOLDER, 'links.sh');
    writeFileSync(file, script);
    execFileSync('bash', [file]);
  });
  afterAll(() => {
    for (const ns of [here, there]) execFileSync('ip', ['netns', 'del', ns]);
  });

  /** So many datagrams to each device. */
  function send(): void {
    const script = NAMES.map(
      (_, at) => `for i in $(seq ${PACKETS}); do echo x > /dev/udp/10.9.${at}.1/9; done`,
    );
    execFileSync('ip', ['netns', 'exec', there, 'bash', '-c', script.join('\n')]);
  }

  const inNamespace = ['nsenter', `--net=/run/netns/${here}`, ...RXSCOPE];
  const expected = Object.fromEntries(NAMES.map(([, shown]) => [shown, PACKETS]));

  /** A scrape from where the agent listens: that namespace's loopback. */
  function numbersOf(agent: AgentProcess): Numbers {
    const ask = ['netns', 'exec', here, 'curl', '-s', '--max-time', '20', `${agent.url}/metrics`];
    return new Numbers(parseText(execFileSync('ip', ask), 'text').series);
  }

  function received(numbers: Numbers): Record<string, number> {
    const rows = numbers.find('rxscope_received_packets_total');
    return Object.fromEntries(
      rows.flatMap(({ labels, value }) =>
        ['lo', '(other netns)'].includes(labels.device ?? '') || value === 0
          ? []
          : [[labels.device, value]],
      ),
    );
  }

  test.each([
    ['as the host has it', inNamespace],
    ['hidden', after([hiding('/sys/class/net')], inNamespace)],
  ])(
    '%s: each device has its packets by its name, and sysfs is told to be wrong',
    async (_, command) => {
      const agent = await startAgent([], command);
      send();
      const numbers = numbersOf(agent);
      expect(received(numbers)).toEqual(expected);
      expect(failedIn(numbers)).toEqual(['devices']);
      const told = agent.logs().filter(({ collector }) => collector === 'devices');
      expect(told).toHaveLength(1);
      expect(JSON.stringify(told)).toContain('/sys/class/net is not of the network namespace');
      await agent.stop();
    },
  );

  test('with the sysfs of its own, nothing is wrong', async () => {
    const mounts = [
      ['-t', 'sysfs', 'none', '/sys'],
      ['-t', 'bpf', 'none', '/sys/fs/bpf'],
    ] as const;
    const command = ['nsenter', `--net=/run/netns/${here}`, ...after(mounts)];
    const agent = await startAgent([], command);
    send();
    const numbers = numbersOf(agent);
    expect(received(numbers)).toEqual(expected);
    expect(failedIn(numbers)).toEqual([]);
    await agent.stop();
  });

  test('record has them by the same names, and no byte that controls the terminal', async () => {
    const record = new Rxscope(['record', '--duration', '60s'], inNamespace);
    // Attached, which takes a moment: it has descriptors of BPF programs then.
    await expect.poll(() => programs(record.pid), { timeout: 20_000 }).toBeGreaterThan(5);
    send();
    record.child.kill('SIGINT');
    const { code, stdout, stderr } = await record.ended;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]/u);
    expect(stderr).toMatch(
      /^rxscope: devices are known by name alone: \/sys\/class\/net [^\n]*\n$/,
    );
  });
});

/** BPF programs that a process holds. */
function programs(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((fd) => isProgram(join(folder, fd))).length;
}

function isProgram(fd: string): boolean {
  try {
    return execFileSync('readlink', [fd], { encoding: 'utf8' }).includes('bpf-prog');
  } catch {
    return false;
  }
}
