// irq_to_softirq where it matters, on network cards' own interrupts: in a guest with two virtio
// cards, to which this process sends datagrams through QEMU's user network. The kernel's own trace
// of the same events is the independent witness.
//
//   this test ─┬─ 127.0.0.1:PORT ─ QEMU ─ virtio card, eth0 10.0.2.15:5555 ─┬─ irq_guest.mjs
//              └─ 127.0.0.1:PORT ─ QEMU ─ virtio card, eth1 10.0.3.15:5555 ─┘

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Measurement } from '../../src/agent/measure.ts';
import { PROBE_INDEX } from '../../src/capture/reading.ts';
import type { IrqOwner } from '../../src/host/interrupts.ts';
import { count } from '../../src/stages/histogram.ts';
import { booksOf, printBooks } from '../kernel/books.ts';
import { captureAll } from '../kernel/options.ts';
import { GUEST_TIMEOUT_MS, measurementOf, runInGuest } from './guest.ts';
import { replay } from './trace.ts';

/** What irq_guest.mjs reports of one phase. */
interface Phase {
  /** networkInterrupts(), there. */
  readonly owners: readonly (readonly [irq: number, owner: IrqOwner])[];
  readonly cards: readonly {
    readonly device: string;
    readonly ifindex: number;
    /** What the application read. */
    readonly datagrams: number;
    /** What the card's driver counted. */
    readonly packets: number;
  }[];
  /** By /proc/interrupts, those of network devices. */
  readonly interrupts: readonly (readonly [irq: number, n: number])[];
  /** The text of the kernel's trace. */
  readonly trace: string;
}

/** To each card. */
const DATAGRAMS = 503;
/** QEMU's user network loses bursts, and the guest is slow. */
const GAP_MS = 5;
/** It may lose some all the same; a handful would prove nothing. */
const ENOUGH = DATAGRAMS / 5;
const GUEST_PORT = 5555;
/** How long each handler is held in the second phase; two of them are well below the gap. */
const HOLD_NS = 1_000_000;
/** Nothing but a stalled host takes so long, in either phase. */
const ABSURD_NS = 1e9;
const LOOPBACK_IFINDEX = 1;

const folder = mkdtempSync(join(tmpdir(), 'rxscope-vm-'));
const phases = new Map<string, Phase & { measurement: Measurement }>();

beforeAll(async () => {
  const hold = compileHold();
  const options = captureAll({
    exact: true,
    pagesPerCpu: 256,
    budgets_ns: { irq_to_softirq: HOLD_NS, softirq_to_socket: 16e9, receive_to_socket: 16e9 },
  });
  const ports = await freePorts(2);
  const sending: Promise<void>[] = [];
  const lines = await runInGuest({
    series: '6.12-cloud',
    script: 'irq_guest.mjs',
    args: [`${GUEST_PORT}`, `${DATAGRAMS}`, hold, `${HOLD_NS}`, JSON.stringify(options)],
    qemu: ports.map(card).join(' '),
    onLine: ({ ready }) => {
      if (ready === 'plain') sending.push(send(ports.slice(0, 1)));
      if (ready === 'held') sending.push(send(ports));
    },
  });
  await Promise.all(sending);
  for (const line of lines.filter((one) => 'phase' in one)) {
    phases.set(String(line.phase), {
      ...(line as unknown as Phase),
      measurement: measurementOf(line),
    });
  }
}, GUEST_TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function compileHold(): string {
  const object = join(folder, 'hold_irq.bpf.o');
  const source = fileURLToPath(new URL('fixtures/hold_irq.bpf.c', import.meta.url));
  const target = ['-target', 'bpf', '-mcpu=v3', '-D__TARGET_ARCH_x86'];
  const flags = [...target, '-I/usr/include/x86_64-linux-gnu', '-O2', '-g', '-Wall'];
  execFileSync('clang', [...flags, '-c', source, '-o', object], { stdio: 'inherit' });
  return object;
}

function phaseOf(name: string): Phase & { measurement: Measurement } {
  const phase = phases.get(name);
  if (phase === undefined) throw new Error(`the guest reported no phase ${name}`);
  return phase;
}

/** QEMU's arguments for the n-th card, and for what this process sends to its port. */
function card(port: number, n: number): string {
  const network = `net=10.0.${n + 2}.0/24,ipv6=off`;
  const forward = `hostfwd=udp:127.0.0.1:${port}-:${GUEST_PORT}`;
  return `-netdev user,id=net${n},${network},${forward} -device virtio-net-pci,netdev=net${n}`;
}

/** UDP ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => createSocket('udp4').bind(0, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}

/** To all ports at a time, so that their interrupts meet; each is first as often as the other. */
async function send(ports: readonly number[]): Promise<void> {
  const socket = createSocket('udp4');
  for (let i = 0; i < DATAGRAMS; i++) {
    for (const port of i % 2 === 0 ? ports : ports.toReversed()) {
      socket.send(`${i}`, port, '127.0.0.1');
    }
    await sleep(GAP_MS);
  }
  socket.close();
}

function irqObservations({ measurement }: { measurement: Measurement }) {
  return measurement.observations
    .filter(({ probe }) => PROBE_INDEX[probe] === 'irq_to_softirq')
    .sort((a, b) => a.cpu - b.cpu || a.timeNs - b.timeNs);
}

function observedAt(measurement: Measurement, probe: string, device: number): number {
  return (measurement.reading?.packets ?? [])
    .filter((row) => row.probe === probe && row.device === device && row.protocol === 'udp')
    .reduce((sum, row) => sum + count(row.histogram), 0);
}

describe.each([
  { name: 'plain', what: 'datagrams through one card' },
  { name: 'held', what: 'datagrams through two cards whose handlers are held' },
])('$what', ({ name }) => {
  test('each served raise of the kernel’s trace is one observation, of the same interrupt', () => {
    const phase = phaseOf(name);
    const witness = [...replay(phase.trace).served].sort(
      (a, b) => a.cpu - b.cpu || (a.untilUs[0] ?? 0) - (b.untilUs[0] ?? 0),
    );
    const ours = irqObservations(phase);
    expect(witness.length).toBeGreaterThan(ENOUGH);
    expect(ours.map(({ cpu, key }) => ({ cpu, irq: key }))).toEqual(
      witness.map(({ cpu, irq }) => ({ cpu, irq })),
    );
    // The trace rounds to microseconds.
    const outside = ours.filter(({ timeNs, latencyNs }, i) => {
      const { fromUs, untilUs } = witness[i] ?? { fromUs: [0, 0], untilUs: [0, 0] };
      const fromNs = timeNs - latencyNs;
      return (
        fromNs < fromUs[0] * 1000 - 1000 ||
        fromNs > fromUs[1] * 1000 + 1000 ||
        timeNs < untilUs[0] * 1000 - 1000 ||
        timeNs > untilUs[1] * 1000 + 1000
      );
    });
    expect(outside, 'observations that do not lie between their events').toEqual([]);
  });

  test('histograms hold what was observed, and only for interrupts of the cards in use', () => {
    const phase = phaseOf(name);
    const owners = new Map(phase.owners);
    const ours = irqObservations(phase);
    const histogram = phase.measurement.histograms.get('irq_to_softirq');
    if (histogram === undefined) throw new Error('no histogram');
    expect(phase.measurement.reading?.eventsLost).toEqual([0, 0, 0]);
    expect(count(histogram)).toBe(ours.length);
    expect(histogram.sumNs).toBe(ours.reduce((sum, { latencyNs }) => sum + latencyNs, 0));
    const devices = phase.measurement.reading?.irqs.map(({ irq }) => owners.get(Number(irq)));
    const inUse = phase.cards.filter(({ datagrams }) => datagrams > 0);
    expect(new Set(devices?.map((owner) => owner?.device))).toEqual(
      new Set(inUse.map(({ device }) => device)),
    );
    expect(
      ours.filter(({ latencyNs }) => latencyNs <= 0 || latencyNs > ABSURD_NS),
      'absurd latencies',
    ).toEqual([]);
  });

  test('no more is observed than the cards raised interrupts, and what waited is counted', () => {
    const phase = phaseOf(name);
    const witness = replay(phase.trace);
    for (const [irq, n] of phase.interrupts) {
      expect({ irq, n: witness.handled.get(irq) ?? 0 }, 'the trace is not complete').toEqual({
        irq,
        n,
      });
    }
    const { already_raised, clock } = phase.measurement.reading?.unmatched.irq_to_softirq ?? {};
    expect(already_raised).toBe(witness.alreadyRaised);
    expect(clock).toBe(0);
    const interrupts = phase.interrupts.reduce((sum, [, n]) => sum + n, 0);
    const observed = irqObservations(phase).length;
    expect(observed + witness.alreadyRaised).toBeLessThanOrEqual(interrupts);
  });

  test('packets carry their device, loopback’s raise no observation, and the books balance', () => {
    const { cards, measurement, trace } = phaseOf(name);
    const received = (device: number) =>
      measurement.reading?.received.find((row) => row.device === device)?.packets ?? 0;
    for (const { ifindex, datagrams, packets } of cards) {
      expect(received(ifindex), printBooks(measurement)).toBe(packets);
      expect(observedAt(measurement, 'softirq_to_socket', ifindex)).toBe(datagrams);
      expect(observedAt(measurement, 'receive_to_socket', ifindex)).toBe(datagrams);
    }
    // Each datagram from a card is answered by one on loopback.
    const answers = cards.reduce((sum, { datagrams }) => sum + datagrams, 0);
    expect(answers).toBeGreaterThan(ENOUGH);
    expect(received(LOOPBACK_IFINDEX)).toBe(answers);
    expect(replay(trace).raisedElsewhere).toBeGreaterThan(ENOUGH);
    for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const) {
      const { difference, pending } = booksOf(measurement, probe);
      expect({ difference, pending }, printBooks(measurement)).toEqual({
        difference: 0,
        pending: 0,
      });
    }
  });
});

test(`handlers that are held for ${HOLD_NS / 1e6} ms delay every softirq by as much`, () => {
  const phase = phaseOf('held');
  const inputs = phase.owners.filter(([, { queue }]) => queue === 0).map(([irq]) => irq);
  const ours = irqObservations(phase).filter(({ key }) => inputs.includes(key));
  expect(ours.length).toBeGreaterThan(ENOUGH);
  expect(ours.filter(({ latencyNs }) => latencyNs < HOLD_NS)).toEqual([]);
  // All of them exceed the budget, and the kernel's own count of that is exact.
  const over = phase.measurement.reading?.irqs
    .filter(({ irq }) => inputs.includes(Number(irq)))
    .reduce((sum, { histogram }) => sum + histogram.overBudget, 0);
  expect(over).toBe(ours.length);
});

test('an interrupt that raises while another still waits is counted, and the oldest wins', () => {
  const phase = phaseOf('held');
  const { served, alreadyRaised } = replay(phase.trace);
  expect(alreadyRaised).toBeGreaterThan(ENOUGH / 5);
  expect(phase.measurement.reading?.unmatched.irq_to_softirq?.already_raised).toBe(alreadyRaised);
  expect(irqObservations(phase).length).toBe(served.length);
});
