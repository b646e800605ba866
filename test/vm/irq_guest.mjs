// Runs in a guest: brings up its network cards, measures while the host sends datagrams to them, and
// reports the measurement beside what the kernel's own counters and its trace say of the same time.
// Judges nothing: irq.test.ts does.
//
//   irq_guest.mjs PORT DATAGRAMS HOLD_OBJECT HOLD_NS OPTIONS
//
// Measures twice: as it is, with datagrams to one card, and with datagrams to both, whose interrupts
// then share a CPU and are each held for HOLD_NS by HOLD_OBJECT, so that one waits behind the other.

import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { measure } from '../../dist/agent/measure.js';
import { loadAddon } from '../../dist/capture/addon.js';
import { networkInterrupts } from '../../dist/host/interrupts.js';
import { plainMeasurement, report } from './report.mjs';

/** Each card has a network of its own; QEMU is host 2 of it. */
const CARDS = [
  { device: 'eth0', address: '10.0.2.15', peer: '10.0.2.2' },
  { device: 'eth1', address: '10.0.3.15', peer: '10.0.3.2' },
];
const TRACE = '/sys/kernel/tracing/instances/rxscope';
/** When nothing has come for so long, QEMU's user network has lost the rest. */
const IDLE_MS = 700;
const FIRST_MS = 5000;

const [port, datagrams, holdObject, holdNs, options] = process.argv.slice(2);

bringUpCards();
const owners = networkInterrupts();
const socket = await bind('0.0.0.0', Number(port));
const echo = await bind('127.0.0.1', 0);
startTrace();

await phase('plain', Number(datagrams));
const holds = holdInterrupts();
await phase('held', Number(datagrams) * CARDS.length);
for (const hold of holds) hold.close();
// No process.exit, which would cut off what is still on its way through the pipe.
socket.close();
echo.close();

async function phase(name, wanted) {
  const before = counters();
  writeFileSync(`${TRACE}/trace`, '');
  writeFileSync(`${TRACE}/tracing_on`, '1');
  let received = new Map();
  const measurement = await measure(JSON.parse(options), async () => {
    report({ ready: name });
    received = await receive(wanted);
  });
  writeFileSync(`${TRACE}/tracing_on`, '0');
  const after = counters();
  report({
    phase: name,
    measurement: plainMeasurement(measurement),
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
 * The kernel's own record of the events that irq_to_softirq is defined by, on the same clock. Its
 * callbacks are registered before those of the BPF programs, so they run first on each event.
 */
function startTrace() {
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

/** Brings the cards' receive interrupts to one CPU and makes their handlers slow. */
function holdInterrupts() {
  const inputs = [...owners].filter(([, { queue }]) => queue === 0).map(([irq]) => irq);
  return inputs.map((irq) => {
    writeFileSync(`/proc/irq/${irq}/smp_affinity_list`, '1');
    const object = loadAddon().openObject(holdObject);
    object.setConst('held_irq', new Uint8Array(Uint32Array.of(irq).buffer));
    object.setConst('hold_ns', new Uint8Array(BigUint64Array.of(BigInt(holdNs)).buffer));
    object.load();
    object.attach('hold');
    return object;
  });
}
