// Measures drops in a test: counts by the kernel's names, and every drop event. And the firewall and
// the queue that drop packets on purpose.

import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../src/addon/addon.ts';
import type { Captured } from '../../src/capture/capture_once.ts';
import { histogramsByProbe } from '../../src/capture/capture_once.ts';
import { type CaptureOptions, openKernelCapture } from '../../src/capture/kernel_capture.ts';
import type { DeviceKey } from '../../src/capture/reading.ts';
import type { DropRecord } from '../../src/capture/records.ts';
import { readDropReasons } from '../../src/host/drop_reasons.ts';
import type { Lab } from './lab.ts';
import { captureAll, USUAL_PROBES } from './options.ts';
import { watch } from './unseen.ts';

const reasons = readDropReasons(loadAddon());

export interface Dropped extends Captured {
  /** What no BPF program was told of: packets at the receiver's device, and drops for a reason or any. */
  readonly unseenPackets: number;
  readonly unseenDrops: (reason?: string) => number;
  readonly events: readonly (DropRecord & { readonly name: string })[];
}

/** Drops beside the usual probes, and no limit on events that a test could reach. */
export function captureDrops(changes: Partial<CaptureOptions> = {}): CaptureOptions {
  return captureAll({
    probes: [...USUAL_PROBES, 'drops'],
    pagesPerCpu: 1024,
    perCpuPerSecond: 1e6,
    ...changes,
  });
}

/** As captureOnce() of the agent, and with the events. */
export async function measureDrops(
  during: () => Promise<unknown>,
  changes: Partial<CaptureOptions> = {},
): Promise<Dropped> {
  const capture = openKernelCapture(loadAddon(), captureDrops(changes));
  const events: Dropped['events'][number][] = [];
  try {
    capture.startRecords({
      outlier: () => {},
      observation: () => {},
      drop: (record) => events.push({ ...record, name: reasons.name(record.reason) }),
    });
    const { unseen } = await watch(
      { 'net/netif_receive_skb': 'name == "vb"', 'skb/kfree_skb': '' },
      async () => {
        await during();
        // The last packets of `during` may still be on their way through a softirq.
        await sleep(20);
      },
    );
    capture.detach();
    const reading = capture.read();
    capture.drain();
    const { states, failure } = capture;
    const histograms = histogramsByProbe(reading);
    return {
      states,
      failure,
      reading,
      histograms,
      observations: [],
      seconds: 0,
      events,
      unseenPackets: unseen('net/netif_receive_skb'),
      unseenDrops: (reason = '') => unseen('skb/kfree_skb', `reason: ${reason}`),
    };
  } finally {
    capture.close();
  }
}

/**
 * Drops on the receive path with this reason, of one device if it is named; with them those of which no
 * BPF program was told.
 */
export function droppedFor(measured: Dropped, reason: string, device?: DeviceKey): number {
  return (measured.reading?.drops ?? [])
    .filter((row) => reasons.name(row.reason) === reason && (device ?? row.device) === row.device)
    .reduce((sum, { packets }) => sum + packets, measured.unseenDrops(reason));
}

/** For a failing test's message: what was dropped, by reason and device. */
export function printDrops({ reading, events }: Dropped): string {
  const rows = (reading?.drops ?? []).map(({ reason, device, packets }) => [
    reasons.name(reason),
    device,
    packets,
  ]);
  const { transmitDrops, events: sent, received, unmatched } = reading ?? {};
  const books = unmatched?.receive_to_socket;
  const some = events.slice(0, 3).map((one) => ({ ...one, location: `${one.location}` }));
  const counted = sent?.drops;
  return JSON.stringify({ rows, transmitDrops, counted, received, books, some }, null, 1);
}

/** Makes a table of nftables with nothing in it, also where a test that failed has left one. */
export function emptyTable(lab: Lab, namespace: string, ...table: string[]): void {
  for (const verb of ['add', 'delete', 'add']) lab.exec(namespace, 'nft', verb, 'table', ...table);
}

/**
 * Drops UDP datagrams to a port at one hook of the firewall (nftables) in a namespace. Returns what
 * tells how many the rule has dropped.
 */
export function firewall(
  lab: Lab,
  namespace: string,
  hook: string,
  port: number,
  family = 'ip',
): () => number {
  const nft = (...words: string[]): string => lab.exec(namespace, 'nft', ...words);
  const table = [family, `${hook}${port}`];
  emptyTable(lab, namespace, ...table);
  nft('add', 'chain', ...table, 'c', `{ type filter hook ${hook} priority 0; }`);
  nft('add', 'rule', ...table, 'c', 'udp', 'dport', `${port}`, 'counter', 'drop');
  return () => Number(/packets (\d+)/.exec(nft('list', 'table', ...table))?.[1]);
}

/**
 * A queue before a device that passes next to nothing on and drops what does not fit. Returns what
 * tells how many it has dropped.
 */
export function fullQueue(lab: Lab, namespace: string, device: string): () => number {
  const tc = (...words: string[]): string => lab.exec(namespace, 'tc', ...words);
  const shape = ['rate', '1kbit', 'burst', '2000', 'limit', '2000'];
  // `replace`: one that a test has left behind goes, with its counts.
  tc('qdisc', 'replace', 'dev', device, 'root', 'pfifo');
  tc('qdisc', 'replace', 'dev', device, 'root', 'tbf', ...shape);
  return () => Number(/dropped (\d+)/.exec(tc('-s', 'qdisc', 'show', 'dev', device))?.[1]);
}
