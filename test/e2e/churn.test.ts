// Devices that are renamed, replaced, more than there are slots for, and namespaces that come and go,
// all under traffic: labels follow, nothing grows, and no count runs backwards between two scrapes.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/probes/index.ts';
import { run } from '../kernel/lab.ts';
import type { Fall } from './backwards.ts';
import { Home, type Watched } from './home.ts';
import type { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';

const files = scratch();
const EVERYTHING = CATALOGUE.map(({ id }) => `  ${id}: { enabled: true }\n`).join('');
const SERIES_MAX = 2_000;
const FAR = `rxf-${process.pid}`;

let home: Home;
beforeAll(async () => {
  home = new Home();
  home.addNamespace(FAR);
  await home.receive();
});
afterAll(() => home?.close());

let watched: Watched;
async function startAgent(settings = ''): Promise<void> {
  const file = files.write('churn.yaml', `probes:\n${EVERYTHING}${settings}`);
  watched = await home.startAgent(['--config.file', file]);
}
afterEach(async () => {
  // It is alive, ends as it should, and nothing went wrong inside.
  const { code, stderr } = await watched.agent.stop();
  expect(code, stderr).toBe(0);
  expect(watched.agent.logs().filter(({ level }) => level >= 50)).toEqual([]);
});

function received(numbers: Numbers, device: string): number {
  return numbers.total('rxscope_received_packets_total', { device });
}

/** Datagrams that reached a socket of the agent's namespace, whichever device they came on. */
function observedHere(numbers: Numbers): number {
  const all = numbers.find('rxscope_receive_to_socket_seconds_count', { protocol: 'udp' });
  const here = all.filter(({ labels }) => labels.device !== '(other netns)');
  return here.reduce((sum, { value }) => sum + value, 0);
}

/** Values of a label `device` in any series. */
function devices(numbers: Numbers): Set<string> {
  const all = numbers.names(/^/).flatMap((name) => numbers.find(name));
  return new Set(all.flatMap(({ labels }) => labels.device ?? []));
}

/** Another device by the same name begins anew, with no more than was sent to it. */
function anew(device: string, packetsMax: number): (fall: Fall) => boolean {
  return ({ name, labels, after }) =>
    labels.device === device && (name.endsWith('_sum') || after <= packetsMax);
}

describe('a device that is renamed under traffic', () => {
  beforeEach(() => startAgent());

  test('has its new name on all its series, and its counts go on', async () => {
    home.addVeth('rxr0', FAR, '77.10');
    const stop = home.sendOn(FAR, '77.10');
    let before = 0;
    for (let i = 0; i < 12; i++) {
      const [old, now] = [`rxr${i}`, `rxr${i + 1}`];
      const numbers = await watched.scrape();
      expect(devices(numbers)).toContain(old);
      expect(received(numbers, old)).toBeGreaterThan(before);
      before = received(numbers, old);
      home.ip('link', 'set', old, 'name', now);
      const renamed = await watched.scrape();
      expect(devices(renamed)).not.toContain(old);
      expect(received(renamed, now)).toBeGreaterThanOrEqual(before);
      const count = 'rxscope_receive_to_socket_seconds_count';
      expect(renamed.total(count, { device: now, protocol: 'udp' })).toBeGreaterThan(0);
      expect(
        renamed.total('rxscope_interface_receive_packets_total', { device: now }),
      ).toBeGreaterThan(0);
    }
    await stop();
    home.ip('link', 'del', 'rxr12');
    expect(watched.scrapes).toBeGreaterThanOrEqual(20);
  });
});

describe('a device that is replaced', () => {
  const DEVICE = 'rxd0';
  const DATAGRAMS = 211;
  /** What else may arrive on it: ARP. */
  const OTHERS = 10;
  beforeEach(() => startAgent());
  afterEach(() => home.ip('link', 'del', DEVICE));

  async function make(index: number): Promise<void> {
    home.addVeth(DEVICE, FAR, '77.11', ['index', `${index}`]);
    await home.send(FAR, '77.11', DATAGRAMS);
  }

  function expectOnlyTheNew(numbers: Numbers): void {
    const packets = received(numbers, DEVICE);
    expect(packets).toBeGreaterThanOrEqual(DATAGRAMS);
    expect(packets).toBeLessThanOrEqual(DATAGRAMS + OTHERS);
    const count = 'rxscope_receive_to_socket_seconds_count';
    expect(numbers.total(count, { device: DEVICE, protocol: 'udp' })).toBe(DATAGRAMS);
  }

  test.each([
    ['the same ifindex', () => 501],
    ['another ifindex', (turn: number) => 600 + turn],
  ])('by one of the same name and %s begins at 0, after a scrape without it', async (_, index) => {
    await make(index(0));
    for (let turn = 1; turn <= 12; turn++) {
      expectOnlyTheNew(await watched.scrape());
      home.ip('link', 'del', DEVICE);
      expect(devices(await watched.scrape())).not.toContain(DEVICE);
      await make(index(turn));
    }
    expect(watched.scrapes).toBeGreaterThanOrEqual(20);
  });

  test('by one with another ifindex between two scrapes begins at 0, too', async () => {
    await make(700);
    for (let turn = 1; turn <= 20; turn++) {
      expectOnlyTheNew(await watched.scrape(anew(DEVICE, DATAGRAMS + OTHERS)));
      home.ip('link', 'del', DEVICE);
      await make(700 + turn);
    }
  });

  test('by one with the same ifindex between two scrapes cannot be told from it, and goes on', async () => {
    const own = /^rxscope_interface_/;
    await make(801);
    for (let turn = 1; turn <= 20; turn++) {
      // Only what the driver counts begins anew.
      const numbers = await watched.scrape((fall) => own.test(fall.name));
      expect(received(numbers, DEVICE)).toBeGreaterThanOrEqual(DATAGRAMS * turn);
      home.ip('link', 'del', DEVICE);
      await make(801);
    }
  });

  test('by itself, after it was in another namespace, begins anew', async () => {
    await make(901);
    for (let turn = 1; turn <= 12; turn++) {
      await watched.scrape();
      home.ip('link', 'set', DEVICE, 'netns', FAR);
      expect(devices(await watched.scrape())).not.toContain(DEVICE);
      run('ip', '-n', FAR, 'link', 'set', DEVICE, 'netns', home.name);
      home.ip('link', 'set', DEVICE, 'up');
      home.ip('addr', 'replace', '10.77.11.1/24', 'dev', DEVICE);
      await home.send(FAR, '77.11', DATAGRAMS);
    }
  });
});

describe('more devices than slots', () => {
  const SLOTS = 4;
  const DATAGRAMS = 101;
  beforeEach(() => startAgent(`devices_max: ${SLOTS}\n`));

  test('what finds none is counted as (other), nothing is lost, and slots are used again', async () => {
    // Their other ends in one namespace would all be called v0: each has one of its own.
    const others = Array.from({ length: 12 }, (_, i) => `rxs${i}-${process.pid}`);
    for (const [i, other] of others.entries()) {
      home.addNamespace(other);
      home.addVeth(`rxs${i}`, other, `78.${i}`);
    }
    const before = await watched.scrape();
    for (const [i, other] of others.entries()) {
      await home.send(other, `78.${i}`, DATAGRAMS);
      await watched.scrape();
    }
    const all = await watched.scrape();
    expect(observedHere(all) - observedHere(before)).toBe(DATAGRAMS * others.length);
    expect(received(all, '(other)')).toBeGreaterThanOrEqual(DATAGRAMS * (others.length - SLOTS));
    for (const other of others) home.deleteNamespace(other);
    await home.untilGone(/rxs/);
    await watched.scrape();
    // One after the other, each finds a slot that one before it had.
    for (let i = 0; i < 3 * SLOTS; i++) {
      home.addVeth(`rxt${i}`, FAR, '77.12');
      await home.send(FAR, '77.12', DATAGRAMS);
      const numbers = await watched.scrape();
      expect(received(numbers, `rxt${i}`)).toBeGreaterThanOrEqual(DATAGRAMS);
      home.ip('link', 'del', `rxt${i}`);
      expect(devices(await watched.scrape())).not.toContain(`rxt${i}`);
    }
    expect(watched.scrapes).toBeGreaterThanOrEqual(20);
  });
});

describe('a hundred network namespaces that come and go under traffic', () => {
  const BATCHES = 10;
  const AT_ONCE = 10;
  const DATAGRAMS = 53;
  /** Connections of scrapes that are not closed yet. */
  const FDS_MORE = 4;
  const MB_MORE = 20;
  /** Fewer slots than devices in all, and enough for those that are there at once. */
  const SLOTS = 64;
  beforeEach(() => startAgent(`devices_max: ${SLOTS}\n`));

  test('leave no series, slots, files or memory behind', async () => {
    const sizes: { series: number; residentMb: number; fds: number }[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const names = Array.from({ length: AT_ONCE }, (_, i) => `rxn${batch}-${i}-${process.pid}`);
      const deviceOf = (i: number): string => `rxn${batch}x${i}`;
      for (const [i, name] of names.entries()) {
        home.addNamespace(name);
        home.addVeth(deviceOf(i), name, `79.${i}`);
      }
      await Promise.all(names.map((name, i) => home.send(name, `79.${i}`, DATAGRAMS)));
      const numbers = await watched.scrape();
      // Each found a slot of its own, which one of an earlier batch had.
      for (const i of names.keys()) {
        expect(received(numbers, deviceOf(i))).toBeGreaterThanOrEqual(DATAGRAMS);
      }
      const stops = names.map((name, i) => home.sendOn(name, `79.${i}`));
      await watched.scrape();
      // In the midst of their traffic.
      for (const i of names.keys()) if (i % 2 === 0) home.ip('link', 'del', deviceOf(i));
      await watched.scrape();
      await Promise.all(stops.map((stop) => stop()));
      for (const name of names) home.deleteNamespace(name);
      await home.untilGone(/rxn/);
      const after = await watched.scrape();
      expect([...devices(after)].filter((device) => device.startsWith('rxn'))).toEqual([]);
      sizes.push({
        series: watched.series,
        residentMb: after.total('process_resident_memory_bytes') / 1e6,
        fds: after.total('process_open_fds'),
      });
      expect(watched.series).toBeLessThanOrEqual(SERIES_MAX);
    }
    const [first, , , , middle] = sizes;
    const last = sizes.at(-1);
    if (first === undefined || middle === undefined || last === undefined)
      throw new Error('no sizes');
    expect(last.fds).toBeLessThanOrEqual(first.fds + FDS_MORE);
    // By then the heap has what it needs; 50 namespaces more take nothing.
    expect(last.residentMb - middle.residentMb).toBeLessThan(MB_MORE);
    expect(watched.scrapes).toBeGreaterThanOrEqual(20);
  });
});
