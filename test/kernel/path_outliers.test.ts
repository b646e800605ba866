// Outliers of the probes beside the mission's three: each arrives, with the fields that its probe has.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { readInterrupts } from '../../src/host/interrupts.ts';
import { type NamedOutlier, Outliers } from '../../src/readings/outliers.ts';
import { Lab, RECEIVER } from './lab.ts';
import { captureAll } from './options.ts';
import { ALL_PROBES } from './path.ts';

const UDP_PORT = 5801;
const TCP_PORT = 5802;
const N = 101;
/** Payload, UDP and IP header. */
const DATAGRAM_BYTES = 16 + 8 + 20;

let lab: Lab;
let folder: string;
beforeAll(() => {
  lab = new Lab();
  folder = mkdtempSync(join('/var/tmp', 'rxscope-disk-'));
});
afterAll(() => {
  lab?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function traffic(protocol: 'udp' | 'tcp', port: number): Promise<void> {
  const receiver = lab.receive(protocol, RECEIVER, port, N, { cpu: 1 });
  await receiver.ready;
  await lab.send(protocol, RECEIVER, port, N, { cpu: 0, 'gap-us': 2000 });
  await receiver.result;
}

async function readDisk(): Promise<void> {
  const file = join(folder, 'block');
  writeFileSync(file, Buffer.alloc(16_384 * N, 1), { flush: true });
  const args = [`if=${file}`, 'of=/dev/null', 'bs=16384', 'iflag=direct', 'status=none'];
  await promisify(execFile)('dd', args);
}

/** The outliers of one probe: nothing else is over its budget. */
async function outliersOf(probe: string): Promise<NamedOutlier[]> {
  const outliers = new Outliers(100_000, ({ ifindex, otherNetns }) =>
    otherNetns ? 'of another namespace' : `${ifindex || ''}`,
  );
  const budgets_ns = Object.fromEntries(ALL_PROBES.map((id) => [id, id === probe ? 0 : 16e9]));
  const options = captureAll({ probes: ALL_PROBES, budgets_ns, perCpuPerSecond: 1e6 });
  const capture = openKernelCapture(loadAddon(), { ...options, pagesPerCpu: 64 });
  try {
    capture.startRecords({
      outlier: (outlier) => outliers.add(outlier),
      observation: () => {},
      drop: () => {},
    });
    await Promise.all([traffic('udp', UDP_PORT), traffic('tcp', TCP_PORT), readDisk()]);
    await sleep(20);
    capture.drain();
  } finally {
    capture.close();
  }
  const all = outliers.list();
  expect(all.map((one) => one.probe)).toEqual(all.map(() => probe));
  for (const { seconds } of all) expect(seconds).toBeGreaterThan(0);
  return all;
}

const isOf = (fields: Partial<NamedOutlier>) => (outlier: NamedOutlier) =>
  Object.entries(fields).every(([name, value]) => outlier[name as keyof NamedOutlier] === value);

describe.each([['softirq_raise_to_entry'], ['softirq_duration']])('%s', (probe) => {
  test('an outlier has its vector, and no protocol', async () => {
    const all = await outliersOf(probe);
    expect(all.filter(isOf({ vector: 'NET_RX' })).length).toBeGreaterThanOrEqual(N);
    expect(all.filter(isOf({ vector: 'BLOCK' })).length).toBeGreaterThan(0);
    expect(all.filter(({ vector }) => vector === undefined)).toEqual([]);
    expect(all.filter((one) => one.protocol !== undefined || one.device !== '')).toEqual([]);
  });
});

test('hardirq_duration: an outlier has its interrupt', async () => {
  const all = await outliersOf('hardirq_duration');
  const disks = readInterrupts().rows.filter(({ name }) => /-req\.\d+$/.test(name));
  const ofDisk = all.filter(({ irq }) => disks.some((row) => row.irq === irq));
  expect(ofDisk.length).toBeGreaterThan(0);
  expect(all.filter(({ irq }) => irq === undefined)).toEqual([]);
});

test('backlog_wait: an outlier has its device and length', async () => {
  const all = await outliersOf('backlog_wait');
  const wanted = { device: 'of another namespace', bytes: DATAGRAM_BYTES };
  expect(all.filter(isOf(wanted)).length).toBeGreaterThanOrEqual(N);
});

test('socket_to_read: an outlier has its port, its protocol and its reader', async () => {
  const all = await outliersOf('socket_to_read');
  const wanted = { protocol: 'tcp', local_port: TCP_PORT, comm: 'traffic', bytes: 16 } as const;
  expect(all.filter(isOf(wanted)).length).toBeGreaterThanOrEqual(N / 2);
});

test('wakeup_to_run: an outlier has its port and its protocol', async () => {
  const all = await outliersOf('wakeup_to_run');
  const udp = all.filter(isOf({ protocol: 'udp', local_port: UDP_PORT }));
  const tcp = all.filter(isOf({ protocol: 'tcp', local_port: TCP_PORT }));
  expect(udp.length).toBeGreaterThanOrEqual(N / 2);
  expect(tcp.length).toBeGreaterThanOrEqual(N / 2);
});

test('napi_poll: an outlier has how many packets were handed over, and no device here', async () => {
  const all = await outliersOf('napi_poll');
  expect(all.filter(isOf({ device: '', packets: 1 })).length).toBeGreaterThanOrEqual(N);
});
