// A part of kernel_guest.mjs: brings up the guest's network cards, measures while the host sends
// datagrams to them, and reports each measurement beside what the kernel's own counters and its trace
// say of the same time. Judges nothing: irq_checks.ts and hog_checks.ts do.

import { execFile, execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { interruptOwners, readInterrupts } from '../../dist/host/interrupts.js';
import { holdWith } from './lab.mjs';
import { report } from './report.mjs';

/** Each card has a network of its own; QEMU is host 2 of it. */
const CARDS = [
  { device: 'eth0', address: '10.0.2.15', peer: '10.0.2.2' },
  { device: 'eth1', address: '10.0.3.15', peer: '10.0.3.2' },
];
const TRACE = '/sys/kernel/tracing/instances/rxscope';
/** When nothing has come for so long, QEMU's user network has lost the rest. */
const IDLE_MS = 700;
const FIRST_MS = 5000;

/** Where the interrupts are held, and where the hog runs. */
const BUSY_CPU = 1;

let owners = new Map();
let socket;
let echo;

/**
 * `held`: datagrams to both cards, whose interrupts share a CPU and are each held, so that one waits
 * behind the other; counted also by the captures on single rungs.
 * `plain`: datagrams to one card, and nothing else. Then each of `hogs`: datagrams to one card whose CPU
 * runs softirqs of holdSoftirqNs and, if it has a priority, a real-time task.
 */
export async function measureIrqs(captures, task) {
  const { port, datagrams, hogDatagrams, hold, holdNs, hog, hogs, holdSoftirqNs } = task;
  bringUpCards();
  owners = interruptOwners(readInterrupts());
  const inputs = [...owners]
    .filter(([, { queue, direction }]) => queue === 0 && direction !== 'tx')
    .map(([irq]) => irq);
  for (const irq of inputs) writeFileSync(`/proc/irq/${irq}/smp_affinity_list`, `${BUSY_CPU}`);
  socket = await bind('0.0.0.0', port);
  echo = await bind('127.0.0.1', 0);

  const holds = inputs.map((irq) => holdWith(hold, 'hold_irq', { held_irq: irq, hold_ns: holdNs }));
  await phase(captures, 'held', datagrams * CARDS.length);
  for (const one of holds) one.close();

  await phase(captures, 'plain', datagrams);

  const long = holdWith(hold, 'hold_softirq', { hold_ns: holdSoftirqNs, held_cpu: BUSY_CPU });
  for (const { name, priority, bursts, busyMs, idleMs } of hogs) {
    const busy = [BUSY_CPU, priority, bursts, busyMs, idleMs].map(String);
    const meanwhile = async () =>
      priority === 0 ? [] : JSON.parse((await promisify(execFile)(hog, busy)).stdout);
    await phase(captures, name, hogDatagrams, meanwhile);
  }
  long.close();
  // No process.exit, which would cut off what is still on its way through the pipe.
  socket.close();
  echo.close();
}

async function phase(captures, name, wanted, meanwhile = async () => []) {
  const before = counters();
  const rungsBefore = captures.rungsSoFar();
  writeFileSync(`${TRACE}/trace`, '');
  writeFileSync(`${TRACE}/tracing_on`, '1');
  let received = new Map();
  let bursts = [];
  const captured = await captures.measure(async () => {
    report({ ready: name });
    [received, bursts] = await Promise.all([receive(wanted), meanwhile()]);
  });
  writeFileSync(`${TRACE}/tracing_on`, '0');
  const after = counters();
  report({
    part: 'irqs',
    phase: name,
    bursts,
    rungs: captures.rungsSince(rungsBefore),
    captured,
    owners: [...owners],
    cards: CARDS.map(({ device, peer }, i) => ({
      device,
      ifindex: Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')),
      datagrams: received.get(peer) ?? 0,
      packets: after.packets[i] - before.packets[i],
    })),
    interrupts: [...after.interrupts].map(([irq, n]) => [irq, n - before.interrupts.get(irq)]),
    trace: readFileSync(`${TRACE}/trace`, 'utf8'),
  });
}

/**
 * Counts datagrams by sender, and answers each with one on loopback, which raises NET_RX without
 * any interrupt.
 */
async function receive(wanted) {
  const bySender = new Map();
  let received = 0;
  let looped = 0;
  let lastMs = performance.now() + FIRST_MS;
  socket.on('message', (_, { address }) => {
    received++;
    bySender.set(address, (bySender.get(address) ?? 0) + 1);
    lastMs = performance.now();
    socket.send('loopback', echo.address().port, '127.0.0.1');
  });
  echo.on('message', () => looped++);
  while ((received < wanted || looped < received) && performance.now() - lastMs < IDLE_MS) {
    await sleep(20);
  }
  socket.removeAllListeners('message');
  echo.removeAllListeners('message');
  return bySender;
}

function bringUpCards() {
  execFileSync('modprobe', ['virtio_net']);
  // The cards shall be silent but for the test: no neighbour discovery, no router solicitation.
  writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1');
  for (const { device, address } of CARDS) {
    execFileSync('ip', ['address', 'add', `${address}/24`, 'dev', device]);
    execFileSync('ip', ['link', 'set', device, 'up']);
  }
}

async function bind(address, at) {
  const one = dgram.createSocket({ type: 'udp4', recvBufferSize: 200_000 });
  one.bind(at, address);
  await once(one, 'listening');
  return one;
}

/** What the cards have done so far, by their driver's and the interrupt controller's count. */
function counters() {
  const lines = readFileSync('/proc/interrupts', 'utf8').split('\n');
  const cpus = lines[0].trim().split(/\s+/).length;
  const interrupts = new Map();
  for (const line of lines.slice(1)) {
    const irq = Number.parseInt(line, 10);
    if (!owners.has(irq)) continue;
    const counts = line
      .trim()
      .split(/\s+/)
      .slice(1, cpus + 1);
    interrupts.set(
      irq,
      counts.map(Number).reduce((sum, n) => sum + n, 0),
    );
  }
  const packets = CARDS.map(({ device }) =>
    Number(readFileSync(`/sys/class/net/${device}/statistics/rx_packets`, 'utf8')),
  );
  return { interrupts, packets };
}

/**
 * The kernel's own record of the events that irq_to_softirq is defined by, on the same clock. To be
 * called before anything is captured: what is registered first for an event runs first.
 */
export function startTrace() {
  mkdirSync(TRACE);
  writeFileSync(`${TRACE}/tracing_on`, '0');
  writeFileSync(`${TRACE}/trace_clock`, 'mono');
  writeFileSync(`${TRACE}/buffer_size_kb`, '4096');
  for (const event of ['softirq_raise', 'softirq_entry', 'softirq_exit']) {
    writeFileSync(`${TRACE}/events/irq/${event}/filter`, 'vec == 3');
    writeFileSync(`${TRACE}/events/irq/${event}/enable`, '1');
  }
  for (const event of ['irq_handler_entry', 'irq_handler_exit']) {
    writeFileSync(`${TRACE}/events/irq/${event}/enable`, '1');
  }
}
