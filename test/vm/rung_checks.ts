// What must hold of several captures, each on rungs of its own, over the same packets. Throws where it
// does not; matrix.test.ts says in which test.

import { expect } from 'vitest';
import type { Captured } from '../../src/capture/capture_once.ts';
import { ATTACHES, type Attach } from '../../src/capture/hooks.ts';
import { SCHEMA } from '../../src/histogram/bounds.ts';
import { count, quantile } from '../../src/histogram/histogram.ts';
import { PROBES } from '../../src/probes/index.ts';
import { booksOf, observedOf, printBooks } from '../kernel/books.ts';
import { USUAL_PROBES } from '../kernel/options.ts';
import { type KernelRun, LOOPBACK, type RungLine, rungHooks, STREAM_BYTES } from './kernel_run.ts';

const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'] as const;
/** How far apart two quantiles may lie whose native buckets are neighbours: both widths. */
const NEIGHBOURS = 2 ** (2 / 2 ** SCHEMA);

/**
 * The kernel runs no program on these while another of them runs on the same CPU, so what an interrupt
 * does in the midst of one may go unseen. On all other rungs nothing does.
 */
const MAY_MISS: readonly Attach[] = ['kprobe', 'tracepoint'];
const MISSED_MAX = 0.01;
/** Of interrupts that are held so that each waits behind another: it comes while the other's programs run. */
const MISSED_HELD_MAX = 0.05;

/** How few of `n` events a rung may have seen. */
export function leastOf(rung: Attach, n: number, missedMax = MISSED_MAX): number {
  return MAY_MISS.includes(rung) ? Math.floor(n * (1 - missedMax)) : n;
}

/** How few of `n` interrupts that are held a rung may have seen. */
export function leastHeldOf(rung: Attach, n: number): number {
  return leastOf(rung, n, MISSED_HELD_MAX);
}

/** The probes that a capture's hooks suffice for. */
export function probesUp({ states }: Pick<Captured, 'states'>): string[] {
  const standing = new Set(states.filter(({ rung }) => rung !== undefined).map(({ hook }) => hook));
  return USUAL_PROBES.filter((id) => {
    const hooks = PROBES.find((probe) => probe.id === id)?.hooks ?? [id];
    return hooks.every((hook) => standing.has(hook));
  });
}

/** A rung that all three probes are up on. */
export function isUp(captured: Pick<Captured, 'states'>): boolean {
  return probesUp(captured).length === USUAL_PROBES.length;
}

export function rungLine({ rungs }: KernelRun, phase: RungLine['phase'], rung: Attach): RungLine {
  const line = rungs.find((one) => one.phase === phase && one.rung === rung);
  if (line === undefined) throw new Error(`the kernel reported nothing of ${phase} on ${rung}`);
  return line;
}

/** The rungs that are up, of all that were forced. */
export function rungsUp(run: KernelRun): Attach[] {
  return ATTACHES.filter((rung) => isUp(rungLine(run, 'held', rung).captured));
}

/** A forced rung carries all that it can, or says why not. */
export function checkForced(run: KernelRun, rung: Attach, mayRefuse: boolean): void {
  const { states } = rungLine(run, 'held', rung).captured;
  for (const { hook, rung: stands, refusals } of states) {
    const ladder = rungHooks(rung).find(({ name }) => name === hook)?.rungs ?? [];
    const first = ladder[0]?.attach;
    const refused = refusals.filter((why) => why.startsWith(`${first}/`));
    if (stands?.attach !== first) expect(refused, `${hook} says why`).not.toEqual([]);
  }
  if (!mayRefuse) expect(probesUp({ states }), describeStates(states)).toEqual(USUAL_PROBES);
}

/** One datagram or message at a time on loopback: every one is observed. */
export function checkHeldCounts(run: KernelRun, rung: Attach): void {
  const { captured } = rungLine(run, 'held', rung);
  for (const probe of PACKET_PROBES) {
    expectAbout(rung, observedOf(captured, probe, 'udp'), LOOPBACK.datagrams, captured);
    // Each message and its answer; a FIN may be queued too, and one from each side is.
    const least = leastOf(rung, 2 * LOOPBACK.messages);
    const segments = observedOf(captured, probe, 'tcp');
    expect(segments, printBooks(captured)).toBeGreaterThanOrEqual(least);
    expect(segments, printBooks(captured)).toBeLessThanOrEqual(2 * LOOPBACK.messages + 2);
  }
  checkBalance(captured);
}

/** RPS and a TCP stream over veth: every datagram is observed, every segment accounted for. */
export function checkVethBooks(run: KernelRun, rung: Attach): void {
  const { captured, about } = rungLine(run, 'veth', rung);
  const { captured: before } = rungLine(run, 'held', rung);
  if (about === undefined) throw new Error('the kernel reported no counters');
  checkDifference(captured);
  const udp =
    observedOf(captured, 'receive_to_socket', 'udp') -
    observedOf(before, 'receive_to_socket', 'udp');
  expectAbout(rung, udp, about.udp + about.rps - run.unseenIn('veth'), captured);
  expect(about.dropped).toBe(0);
  expect(about.bytes).toBe(STREAM_BYTES);
  // What is no sample of softirq_to_socket, because it took another way to its socket, is counted.
  const { unmatched } = booksOf(captured, 'softirq_to_socket');
  const otherWays = ['socket_backlog', 'threaded_napi', 'outside_softirq', 'attached_midway']
    .map((cause) => unmatched[cause] ?? 0)
    .reduce((sum, n) => sum + n, 0);
  expect(observedOf(captured, 'softirq_to_socket') + otherWays, printBooks(captured)).toBe(
    observedOf(captured, 'receive_to_socket'),
  );
  const segments = captured.states.find(({ hook }) => hook === 'tcp_segment');
  // Without the event that names a segment's socket, one may be told apart only when it is alone.
  if (segments?.rung === undefined || MAY_MISS.includes(rung)) return;
  checkBalance(captured);
  expect(captured.reading?.deliveriesWithoutStart, printBooks(captured)).toBe(0);
  const { not_queued = 0 } = booksOf(captured, 'receive_to_socket').unmatched;
  expect(not_queued, printBooks(captured)).toBe(about.coalesced);
}

/** Packets took both other ways to their socket: another CPU, and the backlog of a locked socket. */
export function checkOtherWays(run: KernelRun, backlogThreads: boolean): void {
  for (const rung of rungsUp(run)) {
    const { captured, about } = rungLine(run, 'veth', rung);
    // Where a CPU's backlog has a thread, nobody is interrupted.
    if (!backlogThreads) expect(about?.hops).toBeGreaterThan(0);
    const { socket_backlog = 0, threaded_napi = 0 } = booksOf(
      captured,
      'softirq_to_socket',
    ).unmatched;
    expect(socket_backlog, printBooks(captured)).toBeGreaterThan(0);
    expect(threaded_napi > 0, printBooks(captured)).toBe(backlogThreads);
  }
}

/** All rungs tell of the same packets the same number and, within a bucket, the same latencies. */
export function checkAgreement(run: KernelRun): void {
  const [reference, ...others] = rungsUp(run).map((rung) => rungLine(run, 'held', rung));
  if (reference === undefined) throw new Error('no rung is up');
  for (const probe of PACKET_PROBES) {
    for (const { rung, captured } of others) {
      const about = `${probe} on ${rung}, beside ${reference.rung}`;
      for (const protocol of ['udp', 'tcp'] as const) {
        const wanted = observedOf(reference.captured, probe, protocol);
        expectAbout(rung, observedOf(captured, probe, protocol), wanted, captured);
      }
      expectSameQuantiles(reference.captured, captured, probe, about);
    }
  }
}

/** irq_to_softirq on each rung, over the held interrupts: as many, and as long. */
export function checkIrqAgreement(run: KernelRun, silent: readonly Attach[]): void {
  const line = run.irqs.find(({ phase }) => phase === 'held');
  if (line === undefined) throw new Error('the kernel reported no held interrupts');
  for (const { rung, captured } of line.rungs) {
    const observed = irqCount(captured);
    if (silent.includes(rung)) {
      expect({ rung, observed }).toEqual({ rung, observed: 0 });
      continue;
    }
    // An interrupt in the midst of softirq_entry is another one for some, and already raised for others.
    const wanted = irqCount(line.captured) + alreadyRaised(line.captured);
    const accounted = observed + alreadyRaised(captured);
    const says = `${rung}: ${accounted} of ${wanted}`;
    expect(accounted, says).toBeGreaterThanOrEqual(leastHeldOf(rung, wanted));
    expect(accounted, says).toBeLessThanOrEqual(wanted);
    expectSameQuantiles(line.captured, captured, 'irq_to_softirq', rung);
  }
}

export function irqCount({ histograms }: Captured): number {
  const histogram = histograms.get('irq_to_softirq');
  return histogram === undefined ? 0 : count(histogram);
}

function expectAbout(rung: Attach, observed: number, wanted: number, books: Captured): void {
  const says = `${rung}: ${observed} of ${wanted}\n${printBooks(books)}`;
  expect(observed, says).toBeGreaterThanOrEqual(leastOf(rung, wanted));
  expect(observed, says).toBeLessThanOrEqual(wanted);
}

/** Each received packet is observed, or counted with its cause, or pending. */
function checkDifference(captured: Captured): void {
  for (const probe of PACKET_PROBES) {
    const { difference } = booksOf(captured, probe);
    expect({ probe, difference }, printBooks(captured)).toEqual({ probe, difference: 0 });
  }
}

export function alreadyRaised({ reading }: Captured): number {
  return reading?.unmatched.irq_to_softirq?.already_raised ?? 0;
}

export function checkBalance(captured: Captured): void {
  for (const probe of PACKET_PROBES) {
    const { difference, pending } = booksOf(captured, probe);
    expect({ probe, difference, pending }, printBooks(captured)).toEqual({
      probe,
      difference: 0,
      pending: 0,
    });
  }
}

/**
 * A quantile of the one lies where the other's does, or one observation beside it: two rungs see a latency
 * some ns apart, which may put it into the next bucket, and one packet more or less moves every rank.
 */
function expectSameQuantiles(a: Captured, b: Captured, probe: string, about: string): void {
  const [one, other] = [a.histograms.get(probe), b.histograms.get(probe)];
  if (one === undefined || other === undefined) throw new Error(`no histogram of ${probe}`);
  const step = 1 / count(other);
  for (const q of [0.5, 0.9, 0.99]) {
    const x = quantile(one, q);
    const [low, y, high] = [q - step, q, q + step].map((rank) =>
      quantile(other, Math.min(1, Math.max(0, rank))),
    ) as [number, number, number];
    const says = `${about}: p${q * 100} is ${x} s on one and ${y} s (${low} to ${high}) on the other`;
    expect(x * NEIGHBOURS, says).toBeGreaterThanOrEqual(low);
    expect(x / NEIGHBOURS, says).toBeLessThanOrEqual(high);
  }
}

function describeStates(states: Captured['states']): string {
  return states.map(({ hook, refusals }) => `${hook}: ${refusals.join('; ')}`).join('\n');
}
