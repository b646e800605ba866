// Devices that go while packets are counted: the books stay at 0 at every scrape, no count falls, and what a
// device had goes on as that of removed devices. Beside it, no newcomer inherits.

import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/probes/index.ts';
import { run } from '../kernel/lab.ts';
import { buildSockets, Sockets } from '../kernel/sockets.ts';
import { Home, type Watched } from './home.ts';
import type { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';

const files = scratch();
const FAR = `rxg-${process.pid}`;
const EVERYTHING = CATALOGUE.map(({ id }) => `  ${id}: { enabled: true }\n`).join('');
const REMOVED = '(removed)';
/** A socket of the agent's namespace has the one, nobody has the other. */
const OPEN_PORT = 5601;
const CLOSED_PORT = 5999;
/** So long a packet of some other process may be between two counters that a scrape reads. */
const UNDER_WAY_MS = 5000;
/** Two programs are built, which takes a busy machine long. */
const BUILD_MS_MAX = 240_000;

let home: Home;
let program: ReturnType<typeof buildSockets>;
let here: Sockets;
let far: Sockets;
beforeAll(async () => {
  home = new Home();
  home.addNamespace(FAR);
  program = buildSockets();
  far = new Sockets(program.path, FAR);
  here = new Sockets(program.path, home.name);
  await here.do(`udp receiver 0.0.0.0 ${OPEN_PORT} buffer=100000000`);
}, BUILD_MS_MAX);
afterAll(async () => {
  await here?.close();
  await far?.close();
  program?.remove();
  home?.close();
});

let watched: Watched;
async function startAgent(settings = ''): Promise<void> {
  const file = files.write('removed.yaml', `probes:\n${EVERYTHING}${settings}`);
  watched = await home.startAgent(['--config.file', file]);
}
afterEach(async () => {
  const { code, stderr } = await watched.agent.stop();
  expect(code, stderr).toBe(0);
  expect(watched.agent.logs().filter(({ level }) => level >= 50)).toEqual([]);
});

function bookDifference(numbers: Numbers, probe: string): number {
  return (
    numbers.total('rxscope_received_packets_total') -
    numbers.total(`rxscope_${probe}_seconds_count`) -
    numbers.total('rxscope_unmatched_total', { probe }) -
    numbers.total('rxscope_pending_packets')
  );
}

/** A scrape that balances, which is the first but for packets of others on their way. */
async function balanced(): Promise<Numbers> {
  const deadline = performance.now() + UNDER_WAY_MS;
  for (;;) {
    const numbers = await watched.scrape();
    const differences = ['receive_to_socket', 'softirq_to_socket'].map((probe) =>
      bookDifference(numbers, probe),
    );
    if (performance.now() > deadline || differences.every((n) => n === 0)) {
      expect(differences).toEqual([0, 0]);
      return numbers;
    }
    await sleep(20);
  }
}

/** 0 where there is no such series. */
function sum(numbers: Numbers, name: string, device: string): number {
  return numbers.find(name, { device }).reduce((total, { value }) => total + value, 0);
}

function received(numbers: Numbers, device: string): number {
  return sum(numbers, 'rxscope_received_packets_total', device);
}

function observed(numbers: Numbers, device: string): number {
  return sum(numbers, 'rxscope_receive_to_socket_seconds_count', device);
}

/** Several commands of `ip` at once, in the agent's namespace. */
function batch(lines: readonly string[]): void {
  execFileSync('ip', ['-n', home.name, '-batch', '-'], { input: lines.join('\n') });
}

function net(i: number): string {
  return `10.${90 + (i >> 8)}.${i & 255}`;
}

/** Veths `<prefix>0` … of the agent's namespace, whose other ends are in the other one. */
function addVeths(prefix: string, count: number): string[] {
  const all = Array.from({ length: count }, (_, i) => i);
  const devices = all.map((i) => `${prefix}${i}`);
  batch(
    all.flatMap((i) => [
      `link add ${prefix}${i} type veth peer name p${prefix}${i} netns ${FAR}`,
      `addr add ${net(i)}.1/24 dev ${prefix}${i}`,
      `link set ${prefix}${i} up`,
    ]),
  );
  execFileSync('ip', ['-n', FAR, '-batch', '-'], {
    input: all
      .flatMap((i) => [`addr add ${net(i)}.2/24 dev p${prefix}${i}`, `link set p${prefix}${i} up`])
      .join('\n'),
  });
  return devices;
}

function remove(devices: readonly string[]): void {
  batch(devices.map((device) => `link del ${device}`));
}

async function sendToAll(count: number, port: number, datagrams: number): Promise<void> {
  for (let i = 0; i < count; i++)
    expect(await far.do(`send ${net(i)}.1 ${port} ${datagrams}`)).toBe(datagrams);
}

describe.each([
  ['with room for all', 'devices_max: 64\n'],
  ['most of which have no slot', ''],
  ['most of which have no series', 'devices_max: 64\nseries_max: 1000\n'],
])('30 devices %s', (_, settings) => {
  const DEVICES = 30;
  const DATAGRAMS = 101;

  test.each([
    ['for ports that nobody has', CLOSED_PORT, 'rxa'],
    ['that are observed', OPEN_PORT, 'rxb'],
  ])('take nothing along when they go, of datagrams %s', async (_name, port, prefix) => {
    await startAgent(settings);
    const before = await balanced();
    expect(before.find('rxscope_received_packets_total', { device: REMOVED })).toEqual([]);
    const devices = addVeths(prefix, DEVICES);
    await sendToAll(DEVICES, port, DATAGRAMS);
    const full = await balanced();
    remove(devices);
    const after = await balanced();
    await balanced();
    const last = await balanced();
    expect(await here.do('read receiver')).toBe(port === OPEN_PORT ? DEVICES * DATAGRAMS * 16 : 0);
    expect(last.total('rxscope_received_packets_total')).toBeGreaterThanOrEqual(
      full.total('rxscope_received_packets_total'),
    );
    const count = 'rxscope_receive_to_socket_seconds_count';
    expect(last.total(count)).toBeGreaterThanOrEqual(full.total(count));
    // Those without a slot were counted together, and are still.
    expect(received(after, REMOVED) + received(after, '(other)')).toBeGreaterThanOrEqual(
      DEVICES * DATAGRAMS,
    );
    for (const numbers of [after, last])
      expect(devices.flatMap((device) => (received(numbers, device) > 0 ? [device] : []))).toEqual(
        [],
      );
  });
});

test('300 devices of which half go, one scrape after the other', async () => {
  const DEVICES = 300;
  await startAgent();
  const devices = addVeths('rxc', DEVICES);
  await sendToAll(DEVICES, CLOSED_PORT, 7);
  await sendToAll(DEVICES, OPEN_PORT, 5);
  await balanced();
  const [half, rest] = [
    devices.filter((_, i) => i % 2 === 0),
    devices.filter((_, i) => i % 2 === 1),
  ];
  remove(half);
  await balanced();
  await balanced();
  remove(rest);
  await balanced();
  await balanced();
});

test('scrapes in the midst of removals under traffic find no count lower, and the books at 0 in the end', async () => {
  const DEVICES = 24;
  await startAgent('devices_max: 8\n');
  for (let round = 0; round < 4; round++) {
    const devices = addVeths(`rxe${round}x`, DEVICES);
    const flood = (async (): Promise<void> => {
      // What is sent on a device that has gone is refused.
      for (let i = 0; i < DEVICES * 4; i++)
        await far.try(`send ${net(i % DEVICES)}.1 ${i % 2 ? OPEN_PORT : CLOSED_PORT} 53`);
    })();
    for (const device of devices) {
      home.ip('link', 'del', device);
      await watched.scrape();
    }
    await flood;
  }
  await balanced();
});

test('a newcomer with the ifindex of one that has gone begins at its own first packet', async () => {
  await startAgent();
  const DATAGRAMS = 97;
  /** What else may arrive: ARP. */
  const OTHERS = 10;
  for (let turn = 1; turn <= 5; turn++) {
    home.addVeth(`rxi${turn}`, FAR, '95.1', ['index', '777']);
    expect(await far.do(`send 10.95.1.1 ${OPEN_PORT} ${DATAGRAMS}`)).toBe(DATAGRAMS);
    const numbers = await balanced();
    expect(observed(numbers, `rxi${turn}`)).toBe(DATAGRAMS);
    expect(received(numbers, `rxi${turn}`)).toBeLessThanOrEqual(DATAGRAMS + OTHERS);
    expect(observed(numbers, REMOVED)).toBe(DATAGRAMS * (turn - 1));
    home.ip('link', 'del', `rxi${turn}`);
    await balanced();
  }
});

test('a device that leaves for another namespace has gone, and begins anew when it comes back', async () => {
  await startAgent();
  const DATAGRAMS = 89;
  home.addVeth('rxm', FAR, '95.2');
  for (let turn = 1; turn <= 4; turn++) {
    expect(await far.do(`send 10.95.2.1 ${OPEN_PORT} ${DATAGRAMS}`)).toBe(DATAGRAMS);
    const numbers = await balanced();
    expect(observed(numbers, 'rxm')).toBe(DATAGRAMS);
    expect(observed(numbers, REMOVED)).toBe(DATAGRAMS * (turn - 1));
    home.ip('link', 'set', 'rxm', 'netns', FAR);
    await balanced();
    run('ip', '-n', FAR, 'link', 'set', 'rxm', 'netns', home.name);
    home.ip('addr', 'replace', '10.95.2.1/24', 'dev', 'rxm');
    home.ip('link', 'set', 'rxm', 'up');
  }
  home.ip('link', 'del', 'rxm');
});
