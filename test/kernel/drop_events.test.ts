// What is told of a drop: its device, and the event with all that is known of the packet. Events are
// rate limited, and those that were not sent are counted; the drops themselves are counted all.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { listDevices } from '../../src/host/devices.ts';
import { Symbols } from '../../src/host/symbols.ts';
import { captureDrops, type Dropped, droppedFor, measureDrops, printDrops } from './drops.ts';
import { Lab, RECEIVER, RECEIVER_V6, run } from './lab.ts';

const DEVICE = `rxe${process.pid % 100_000}`;
const OWN = '10.81.0.1';
/** Events that a CPU may send at once before its rate applies (src/capture/kernel_capture.ts). */
const BURST = 10;

let lab: Lab;
const symbols = new Symbols();
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => {
  lab?.close();
  symbols.close();
  removeDevice();
});

/** A veth pair between the receiver's namespace and the agent's own; its ifindex here. */
function addDevice(): number {
  // One that a test has left behind.
  removeDevice();
  run('ip', 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 've', 'netns', lab.receiver);
  run('ip', 'addr', 'add', `${OWN}/24`, 'dev', DEVICE);
  run('ip', 'link', 'set', DEVICE, 'up');
  run('ip', '-n', lab.receiver, 'addr', 'add', '10.81.0.2/24', 'dev', 've');
  run('ip', '-n', lab.receiver, 'link', 'set', 've', 'up');
  return listDevices().find(({ name }) => name === DEVICE)?.ifindex ?? 0;
}

function removeDevice(): void {
  try {
    run('ip', 'link', 'del', DEVICE);
  } catch {
    // Removed by the test already.
  }
}

function allDrops({ reading }: Dropped): number {
  return (reading?.drops ?? []).reduce((sum, { packets }) => sum + packets, 0);
}

test.each([
  ['IPv4', RECEIVER, 0x0800, '__udp4_lib_rcv'],
  ['IPv6', RECEIVER_V6, 0x86dd, '__udp6_lib_rcv'],
] as const)(
  'an event names reason, code, protocol and ports: %s',
  async (_, to, ethertype, code) => {
    const n = 101;
    const before = Number(process.hrtime.bigint());
    const measured = await measureDrops(() => lab.send('udp', to, 5691, n, { size: 30 }));
    const events = measured.events.filter(({ localPort }) => localPort === 5691);
    expect(events, printDrops(measured)).toHaveLength(n - measured.unseenDrops('NO_SOCKET'));
    for (const event of events) {
      expect(event).toMatchObject({ name: 'NO_SOCKET', ethertype, transport: 17, length: 38 });
      expect(event).toMatchObject({ otherNetns: true, noDevice: false });
      expect(event.remotePort).toBeGreaterThan(1023);
      expect(event.timeNs).toBeGreaterThan(before);
      expect(event.timeNs).toBeLessThan(Number(process.hrtime.bigint()));
      expect(symbols.nameOf(event.location)).toBe(code);
    }
    // The sender's process carries its datagram through veth up to the receiver's UDP.
    expect(events.map(({ comm }) => comm)).toContain('traffic');
  },
);

test('without a limit each drop has one event', async () => {
  const measured = await measureDrops(() => lab.send('udp', RECEIVER, 5692, 5003));
  expect(droppedFor(measured, 'NO_SOCKET', 'other_netns')).toBe(5003);
  expect(measured.reading?.events.drops, printDrops(measured)).toEqual({
    sent: allDrops(measured),
    lost: 0,
  });
  expect(measured.events).toHaveLength(allDrops(measured));
});

test('a storm of drops and one event a second: all are counted, few are told', async () => {
  const n = 50_021;
  const started = performance.now();
  const send = () => lab.send('udp', RECEIVER, 5693, n);
  const measured = await measureDrops(send, { perCpuPerSecond: 1 });
  const seconds = (performance.now() - started) / 1000;
  expect(droppedFor(measured, 'NO_SOCKET', 'other_netns'), printDrops(measured)).toBe(n);
  const { sent = 0, lost = 0 } = measured.reading?.events.drops ?? {};
  expect(sent + lost).toBe(allDrops(measured));
  expect(measured.events).toHaveLength(sent);
  const cpus = loadAddon().possibleCpus();
  expect(sent).toBeLessThanOrEqual(cpus * (BURST + 1 + Math.ceil(seconds)));
});

describe('the device of a drop', () => {
  test('by ifindex in the own namespace, all others together', async () => {
    const ifindex = addDevice();
    const measured = await measureDrops(async () => {
      await lab.sendLocally('udp', OWN, 5694, 211);
      await lab.send('udp', RECEIVER, 5694, 307);
    });
    removeDevice();
    expect(droppedFor(measured, 'NO_SOCKET', ifindex), printDrops(measured)).toBe(211);
    expect(droppedFor(measured, 'NO_SOCKET', 'other_netns')).toBe(307);
    const own = measured.events.filter(({ otherNetns, noDevice }) => !otherNetns && !noDevice);
    const here = own.filter(({ localPort }) => localPort === 5694);
    const told = 211 + 307 - measured.unseenDrops('NO_SOCKET');
    expect(here.length).toBeGreaterThanOrEqual(told - 307);
    expect(here.map((event) => event.ifindex)).toEqual(Array(here.length).fill(ifindex));
  });

  test('the same without the probes that follow packets', async () => {
    const ifindex = addDevice();
    const send = () => lab.sendLocally('udp', OWN, 5695, 211);
    const measured = await measureDrops(send, { probes: ['drops'] });
    removeDevice();
    expect(droppedFor(measured, 'NO_SOCKET', ifindex), printDrops(measured)).toBe(211);
  });

  test('a device that goes takes its drops with it, and leaves those of others', async () => {
    const capture = openKernelCapture(loadAddon(), captureDrops());
    try {
      const ifindex = addDevice();
      await lab.sendLocally('udp', OWN, 5696, 101);
      await lab.send('udp', RECEIVER, 5696, 101);
      const of = (device: number | 'other_netns'): number =>
        (capture.read()?.drops ?? [])
          .filter((row) => row.device === device)
          .reduce((sum, { packets }) => sum + packets, 0);
      expect(of(ifindex)).toBeGreaterThanOrEqual(101);
      removeDevice();
      capture.forgetDevices(new Set([ifindex]));
      expect(of(ifindex)).toBe(0);
      expect(of('other_netns')).toBeGreaterThanOrEqual(101);
    } finally {
      capture.close();
    }
  });
});
