// What must hold of irq_to_softirq on network cards' own interrupts. The kernel's own trace of the same
// events is the independent witness. Throws where it does not; matrix.test.ts says in which test.

import { expect } from 'vitest';
import type { Captured } from '../../src/capture/capture_once.ts';
import { count } from '../../src/histogram/histogram.ts';
import { observedOf, printBooks } from '../kernel/books.ts';
import { DATAGRAMS, HOG, HOLD_IRQ_NS, type IrqLine, type KernelRun } from './kernel_run.ts';
import { checkBalance } from './rung_checks.ts';
import { replay, type Served } from './trace.ts';

/** QEMU's user network may lose some datagrams; a handful would prove nothing. */
const ENOUGH = DATAGRAMS / 5;
/** Nothing but a stalled host takes so long, whatever is held. */
const ABSURD_NS = 1e9;
const LOOPBACK_IFINDEX = 1;
/** A softirq that waited for the real-time task: no other cause here comes near. */
const WAITED_NS = (HOG.busyMs / 2) * 1e6;
/** How many may come near all the same, when the host itself has no CPU for the guest. */
const STALLS_MAX = HOG.bursts / 4;
/** Number of the softirq vector. */
const NET_RX = 3;

export function irqLine({ irqs }: KernelRun, phase: string): IrqLine {
  const line = irqs.find((one) => one.phase === phase);
  if (line === undefined) throw new Error(`the guest reported no phase ${phase}`);
  return line;
}

function observations({ captured }: { captured: Captured }) {
  return captured.observations
    .filter(({ probe }) => probe === 'irq_to_softirq')
    .sort((a, b) => a.cpu - b.cpu || a.timeNs - b.timeNs);
}

/** The histograms of each interrupt. */
function interrupts({ reading }: Captured) {
  return (reading?.latencies ?? []).filter(({ probe }) => probe === 'irq_to_softirq');
}

/**
 * An interrupt that comes in the midst of the event softirq_entry lies before it for one observer and
 * behind it for the next, and is served by this run or already raised. So observers may differ in runs
 * that another interrupt disturbed, and in no others; in so few of all, however slow the guest is.
 */
const MIDST_MAX = 0.05;

/** Each served raise of the kernel's trace is one observation, of the same interrupt and times. */
export function checkServedRaises(line: IrqLine): void {
  const { served, alreadyRaised } = replay(line.trace);
  const ours = observations(line);
  // Behind a real-time task, many datagrams share one interrupt.
  expect(served.length).toBeGreaterThan(line.bursts.length > 0 ? HOG.bursts : ENOUGH);
  const { already_raised = 0 } = line.captured.reading?.unmatched.irq_to_softirq ?? {};
  expect(ours.length + already_raised).toBe(served.length + alreadyRaised);
  const witnesses = new Set(served);
  const disturbed = served.filter((one) => one.disturbed);
  const without = ours.filter(({ cpu, key, timeNs, latencyNs }) => {
    for (const witness of witnesses) {
      if (witness.cpu !== cpu || witness.irq !== key) continue;
      if (!lies(timeNs - latencyNs, witness.fromUs) || !lies(timeNs, witness.untilUs)) continue;
      witnesses.delete(witness);
      return false;
    }
    return true;
  });
  const says = JSON.stringify({ observed: without, traced: [...witnesses] });
  const most = served.length * MIDST_MAX;
  expect(without.length, says).toBeLessThanOrEqual(most);
  expect(witnesses.size, says).toBeLessThanOrEqual(most);
  expect([...witnesses].filter((one) => !one.disturbed).length, says).toBe(0);
  const unexplained = without.filter(
    ({ cpu, timeNs }) => !disturbed.some((one) => one.cpu === cpu && spans(one, timeNs)),
  );
  expect(unexplained.length, says).toBe(0);
}

/** The raise, its softirq and what came meanwhile, whose own softirq may be the next. */
function spans({ fromUs, untilUs }: Served, ns: number): boolean {
  return lies(ns, [fromUs[0], untilUs[1]]);
}

/** The trace rounds to microseconds. */
function lies(ns: number, [leastUs, mostUs]: readonly [number, number]): boolean {
  return ns >= leastUs * 1000 - 1000 && ns <= mostUs * 1000 + 1000;
}

/** Histograms hold what was observed, and only for interrupts of the cards in use. */
export function checkHistograms(line: IrqLine): void {
  const { captured, owners, cards } = line;
  const ours = observations(line);
  const histogram = captured.histograms.get('irq_to_softirq');
  if (histogram === undefined) throw new Error('no histogram');
  for (const { lost } of Object.values(captured.reading?.events ?? {})) expect(lost).toBe(0);
  expect(count(histogram)).toBe(ours.length);
  expect(histogram.sumNs).toBe(ours.reduce((sum, { latencyNs }) => sum + latencyNs, 0));
  const ownerOf = new Map(owners);
  const devices = interrupts(captured).map(({ irq }) => ownerOf.get(Number(irq))?.device);
  const inUse = cards.filter(({ datagrams }) => datagrams > 0).map(({ device }) => device);
  expect(new Set(devices)).toEqual(new Set(inUse));
  const absurd = ours.filter(({ latencyNs }) => latencyNs <= 0 || latencyNs > ABSURD_NS);
  expect(absurd, 'absurd latencies').toEqual([]);
}

/** No more is observed than the cards raised interrupts, and what waited is counted. */
export function checkInterrupts(line: IrqLine): void {
  const witness = replay(line.trace);
  for (const [irq, n] of line.interrupts) {
    const traced = witness.handled.get(irq) ?? 0;
    expect({ irq, n: traced }, 'the trace is not complete').toEqual({ irq, n });
  }
  const { already_raised = 0, clock } = line.captured.reading?.unmatched.irq_to_softirq ?? {};
  expect(clock).toBe(0);
  const interrupts = line.interrupts.reduce((sum, [, n]) => sum + n, 0);
  expect(observations(line).length + already_raised).toBeLessThanOrEqual(interrupts);
}

/** Packets carry their device, loopback's raise is no observation, and the books balance. */
export function checkPackets({ cards, captured, trace }: IrqLine): void {
  const received = (device: number) =>
    captured.reading?.received.find((row) => row.device === device)?.packets ?? 0;
  for (const { ifindex, datagrams, packets } of cards) {
    expect(received(ifindex), printBooks(captured)).toBe(packets);
    for (const probe of ['softirq_to_socket', 'receive_to_socket']) {
      const rows = (captured.reading?.latencies ?? []).filter(
        (row) => row.probe === probe && row.device === ifindex && row.protocol === 'udp',
      );
      const observed = rows.reduce((sum, row) => sum + count(row.histogram), 0);
      expect({ probe, observed }, printBooks(captured)).toEqual({ probe, observed: datagrams });
    }
  }
  // Each datagram from a card is answered by one on loopback.
  const answers = cards.reduce((sum, { datagrams }) => sum + datagrams, 0);
  expect(answers).toBeGreaterThan(ENOUGH);
  expect(received(LOOPBACK_IFINDEX)).toBe(answers);
  expect(observedOf(captured, 'receive_to_socket', 'udp')).toBe(2 * answers);
  expect(replay(trace).raisedElsewhere).toBeGreaterThan(ENOUGH);
  checkBalance(captured);
}

/** Handlers that are held delay every softirq by as much, or their thread if they have one. */
export function checkHold(line: IrqLine, threaded: boolean): void {
  const inputs = line.owners
    .filter(([, { queue, direction }]) => queue === 0 && direction !== 'tx')
    .map(([irq]) => irq);
  const ours = observations(line).filter(({ key }) => inputs.includes(key));
  expect(ours.length).toBeGreaterThan(ENOUGH);
  const short = ours.filter(({ latencyNs }) => latencyNs < HOLD_IRQ_NS);
  // A thread may run on another CPU than the handler that woke it, and need not wait for its end.
  expect(short.length).toBeLessThanOrEqual(threaded ? ours.length / 10 : 0);
  // The kernel's own count of what exceeds the budget is exact.
  const over = interrupts(line.captured)
    .filter(({ irq }) => inputs.includes(Number(irq)))
    .reduce((sum, { histogram }) => sum + histogram.overBudget, 0);
  expect(over).toBe(ours.filter(({ latencyNs }) => latencyNs > HOLD_IRQ_NS).length);
}

/** An interrupt that raises while another still waits is counted, and the oldest wins. */
export function checkOldestWins(line: IrqLine): void {
  const { alreadyRaised } = replay(line.trace);
  const { already_raised = 0 } = line.captured.reading?.unmatched.irq_to_softirq ?? {};
  expect(alreadyRaised).toBeGreaterThan(ENOUGH / 5);
  expect(Math.abs(already_raised - alreadyRaised)).toBeLessThanOrEqual(alreadyRaised * MIDST_MAX);
}

/**
 * A burst of the real-time task holds up one softirq until its end, and nothing else does. Most bursts:
 * on a busy host, QEMU may hand no datagram to the card while one lasts.
 */
export function checkStarved(line: IrqLine): void {
  expect(line.bursts.length).toBe(HOG.bursts);
  const waited = observations(line).filter(({ latencyNs }) => latencyNs > WAITED_NS);
  expect(waited.length).toBeGreaterThan(HOG.bursts / 2);
  const untilTheEnd = waited.filter(({ timeNs, latencyNs }) =>
    line.bursts.some(([begin, end]) => timeNs - latencyNs < end && timeNs > end && timeNs > begin),
  );
  expect(waited.length - untilTheEnd.length, 'waited for something else').toBeLessThanOrEqual(
    STALLS_MAX,
  );
  expect(waited.length).toBeLessThanOrEqual(HOG.bursts + STALLS_MAX);
  const longer = waited.filter(({ latencyNs }) => latencyNs > 2 * HOG.busyMs * 1e6);
  expect(longer.length, JSON.stringify(longer)).toBeLessThanOrEqual(STALLS_MAX);
}

/** No softirq waits for the real-time task, or for anything as long. */
export function checkNotStarved(line: IrqLine): void {
  const waited = observations(line).filter(({ latencyNs }) => latencyNs > WAITED_NS);
  expect(observations(line).length).toBeGreaterThan(HOG.bursts);
  expect(waited.length, JSON.stringify(waited)).toBeLessThanOrEqual(STALLS_MAX);
}

/** NET_RX waits between its raise and its entry behind what starves ksoftirqd, and behind nothing else. */
export function checkRaises(line: IrqLine, starved: boolean): void {
  const raises = line.captured.observations.filter(
    ({ probe, key }) => probe === 'softirq_raise_to_entry' && key === NET_RX,
  );
  expect(raises.length).toBeGreaterThan(HOG.bursts);
  const waited = raises.filter(({ latencyNs }) => latencyNs > WAITED_NS);
  if (starved) expect(waited.length).toBeGreaterThan(HOG.bursts / 2);
  else expect(waited.length, JSON.stringify(waited)).toBeLessThanOrEqual(STALLS_MAX);
}
