// Runs in a guest, or on this machine: numbered datagrams take several ways into a host, and each case is
// told in full: what the kernel's own trace has of it, what the sockets got, and what captures on all rungs
// say of the same packets. Judges nothing: deliveries.ts does.
//
//   deliveries_guest.mjs TASK
//
// TASK is JSON: { numbered, modules, rungs: [{ rung, options }, …], cases: [Case of deliveries.ts, …] }.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { loadAddon } from '../../dist/addon/addon.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import { report } from './report.mjs';
import { since } from './since.mjs';
import { TraceBuffer } from './trace_buffer.mjs';
import { cutUp, inNamespace, RECEIVER_NAMESPACE, SENDER_NAMESPACE, Ways } from './ways.mjs';

const EVENTS = {
  'net:netif_receive_skb': ['skbaddr', 'len', 'name'],
  'sock:sk_data_ready': ['skaddr', 'family', 'protocol'],
  'skb:kfree_skb': ['skbaddr', 'reason'],
  'irq:softirq_entry': ['vec'],
};
const KILOBYTES_PER_CPU = 8192;
const GRO_BATCH = '/proc/sys/net/core/gro_normal_batch';
const PORT = 9000;

const { numbered, rungs, cases } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const batchBefore = readFileSync(GRO_BATCH, 'utf8');
const ways = new Ways([...new Set(cases.flatMap(({ ways }) => ways))]);
const trace = new TraceBuffer(EVENTS, KILOBYTES_PER_CPU);
const captures = [];
try {
  inNamespace(SENDER_NAMESPACE, 'nft', 'add table bridge spread');
  inNamespace(
    SENDER_NAMESPACE,
    'nft',
    'add chain bridge spread ports { type filter hook prerouting priority 0; }',
  );
  const turns = `numgen inc mod 3 map { 0 : ${PORT + 1}, 1 : ${PORT + 2}, 2 : ${PORT + 3} }`;
  const spread = `udp dport ${PORT} udp dport set ${turns}`;
  inNamespace(SENDER_NAMESPACE, 'nft', `add rule bridge spread ports ${spread}`);
  for (const { rung, options } of rungs) {
    const one = { rung, capture: openKernelCapture(loadAddon(), options), observations: [] };
    captures.push(one);
    one.capture.startRecords({
      outlier: () => {},
      drop: () => {},
      observation: (observation) => one.observations.push(observation),
    });
  }
  for (const one of cases) await run(one);
  // Books are exact only once nothing comes any more.
  report({
    rungs: captures.map(({ rung, capture }) => {
      capture.detach();
      return { rung, reading: capture.read(false) };
    }),
  });
} finally {
  writeFileSync(GRO_BATCH, batchBefore);
  for (const { capture } of captures) capture.close();
  trace.close();
  ways.close();
}

async function run({ ways: names, list, count, send, receive, cut, rps, dnat }) {
  const [way, other] = names.map((name) => ways.get(name));
  const address = send.v6 ? way.address6 : way.address;
  writeFileSync(GRO_BATCH, `${list}`);
  if (!cut) for (const name of names) cutUp(ways.get(name), false);
  if (rps) setRps(way, '2');
  if (dnat) redirect(send.v6 ? 'ip6' : 'ip');
  const receiver =
    receive === undefined ? undefined : await startReceiver(way, other, send, receive);
  for (const { capture } of captures) capture.drain();
  const before = captures.map(({ capture }) => capture.read(false));
  for (const one of captures) one.observations = [];
  trace.start();
  const to = send.group ?? address;
  const options = { size: send.size, list: send.list, 'gap-us': send.gapUs };
  const inside = send.group ? { device: way.sendingDevice } : {};
  const sending = [
    sendTo(to, send.port ?? PORT, count, { ...options, ...inside, cpu: 0, ...send.first }),
  ];
  if (other !== undefined) {
    const also = { ...options, cpu: 1, ...send.second };
    sending.push(sendTo(send.v6 ? other.address6 : other.address, send.port ?? PORT, count, also));
  }
  await Promise.all(sending);
  const got = receiver === undefined ? { sockets: [], raw: [], taps: [] } : await receiver.end();
  // What left the receive path in a softirq that still runs.
  await sleep(20);
  const events = trace.stop();
  const readings = captures.map(({ capture }) => capture.read(false));
  for (const { capture } of captures) capture.drain();
  if (dnat) inNamespace(RECEIVER_NAMESPACE, 'nft', 'flush', 'ruleset');
  if (rps) setRps(way, '0');
  if (!cut) for (const name of names) cutUp(ways.get(name), true);
  report({
    tasksOfProcess1: readdirSync('/proc/1/task').map(Number),
    ways: names.map((name) => ways.get(name)),
    events: events.map(compact),
    got,
    rungs: captures.map(({ rung, capture, observations }, i) => ({
      rung,
      states: capture.states,
      observations: observations.map(({ probe, protocol, latencyNs, timeNs, cpu, key }) => [
        probe,
        protocol,
        latencyNs,
        timeNs,
        cpu,
        key,
      ]),
      reading: before[i] === undefined ? undefined : since(before[i], readings[i]),
    })),
  });
}

/** One list for each event: what it is, where, when, and two facts of its own. */
function compact({ cpu, ns, pid, event, skbaddr, len, name, skaddr, family, protocol, ...more }) {
  if (event === 'netif_receive_skb') return ['received', cpu, ns, pid, skbaddr, len, name];
  if (event === 'sk_data_ready') return ['told', cpu, ns, pid, skaddr, family, protocol];
  if (event === 'softirq_entry') return ['softirq', cpu, ns, pid, '', more.vec, ''];
  return ['dropped', cpu, ns, pid, skbaddr, more.reason, ''];
}

async function startReceiver(way, other, send, { sockets, port, tap, ...options }) {
  const words = {
    ...options,
    ...(way.socketDevice === undefined ? {} : { device: way.socketDevice }),
    ...(send.group === undefined ? {} : { group: send.group, join: way.device }),
    ...(tap ? { tap: [...new Set([way.device, way.lower])].join(',') } : {}),
  };
  // With two ways the socket is on all addresses; so is one that joins a group.
  const wildcard = other !== undefined || send.group !== undefined;
  const any = send.v6 ? '::' : '0.0.0.0';
  const address = wildcard ? any : send.v6 ? way.address6 : way.address;
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      RECEIVER_NAMESPACE,
      numbered,
      'receive',
      address,
      `${port ?? PORT}`,
      `${sockets}`,
      ...wordsOf(words),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface(child.stdout);
  let last = '';
  lines.on('line', (line) => {
    last = line;
  });
  const closed = once(lines, 'close');
  await Promise.race([
    once(lines, 'line'),
    closed.then(() => Promise.reject(new Error('no receiver'))),
  ]);
  return {
    end: async () => {
      child.stdin.end();
      await closed;
      return JSON.parse(last);
    },
  };
}

async function sendTo(address, port, count, options) {
  const words = [
    'netns',
    'exec',
    SENDER_NAMESPACE,
    numbered,
    'send',
    address,
    `${port}`,
    `${count}`,
  ];
  await promisify(execFile)('ip', [...words, ...wordsOf(options)]);
}

function wordsOf(options) {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
}

function redirect(family) {
  for (const line of [
    `add table ${family} doors`,
    `add chain ${family} doors pre { type nat hook prerouting priority -100; }`,
    `add rule ${family} doors pre udp dport ${PORT} redirect to :${PORT + 7}`,
  ]) {
    inNamespace(RECEIVER_NAMESPACE, 'nft', line);
  }
}

/** In /sys of the namespace, which `ip netns exec` mounts. */
function setRps({ rps: [namespace, device] }, mask) {
  const file = `/sys/class/net/${device}/queues/rx-0/rps_cpus`;
  inNamespace(namespace, 'sh', '-c', `echo ${mask} > ${file}`);
}
