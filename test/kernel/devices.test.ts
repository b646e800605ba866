// receive_to_socket's device label while devices come and go.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { type KernelCapture, openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { listDevices } from '../../src/host/devices.ts';
import { Lab, run } from './lab.ts';
import { captureAll } from './options.ts';

const DEVICE = `rxd${process.pid % 100_000}`;
let lab: Lab;
let capture: KernelCapture;
beforeAll(() => {
  lab = new Lab();
  capture = openKernelCapture(loadAddon(), captureAll({ devices: 16 }));
});
afterAll(() => {
  capture?.close();
  lab?.close();
  removeDevice();
});

/** A veth pair between the receiver's namespace and the agent's own. */
function addDevice(): number {
  run('ip', 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 'vc', 'netns', lab.receiver);
  run('ip', 'addr', 'add', '10.78.0.1/24', 'dev', DEVICE);
  run('ip', 'link', 'set', DEVICE, 'up');
  run('ip', '-n', lab.receiver, 'addr', 'add', '10.78.0.2/24', 'dev', 'vc');
  run('ip', '-n', lab.receiver, 'link', 'set', 'vc', 'up');
  return listDevices().find(({ name }) => name === DEVICE)?.ifindex ?? 0;
}

function removeDevice(): void {
  try {
    run('ip', 'link', 'del', DEVICE);
  } catch {
    // Removed by the test already.
  }
}

function receivedBy(ifindex: number): number | undefined {
  return capture.read()?.received.find(({ device }) => device === ifindex)?.packets;
}

test('a new device is counted under its ifindex from its first packet, and forgotten when it goes', async () => {
  const n = 101;
  for (let round = 0; round < 3; round++) {
    const ifindex = addDevice();
    await lab.sendLocally('udp', '10.78.0.1', 9, n);
    expect(receivedBy(ifindex)).toBeGreaterThanOrEqual(n);
    removeDevice();
    capture.forgetDevices(new Set([ifindex]));
    expect(receivedBy(ifindex)).toBeUndefined();
    const left = capture.read()?.latencies.filter(({ device }) => device === ifindex);
    expect(left).toEqual([]);
  }
});

test('more devices than slots share the overflow, and none is lost', async () => {
  const few = openKernelCapture(loadAddon(), captureAll({ devices: 4 }));
  try {
    const before = few.read()?.received.reduce((sum, { packets }) => sum + packets, 0) ?? 0;
    for (let round = 0; round < 6; round++) {
      addDevice();
      await lab.sendLocally('udp', '10.78.0.1', 9, 11, { cpu: 0 });
      removeDevice();
    }
    const received = few.read()?.received ?? [];
    // Each CPU has its own four slots.
    const own = received.filter(({ device }) => typeof device === 'number');
    expect(own.length).toBeLessThanOrEqual(4 * few.cpus);
    expect(received.find(({ device }) => device === 'overflow')?.packets).toBeGreaterThanOrEqual(
      22,
    );
    const after = received.reduce((sum, { packets }) => sum + packets, 0);
    expect(after - before).toBeGreaterThanOrEqual(66);
  } finally {
    few.close();
  }
});
