// Runs in a guest: packets whose way to a socket only the functions tell that queue them. One phase
// each, and each measured on the given rungs. Judges nothing: functions.test.ts does.
//
//   functions_guest.mjs TRAFFIC COUNT STREAM RUNGS
//
// RUNGS is JSON: [{ rung, options }, …]. All captures of a phase see the same packets.

import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../dist/addon/addon.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import {
  counter,
  DEVICE,
  ip,
  SENDER_NAMESPACE,
  SENDING_DEVICE,
  throughVeth,
  withVeth,
} from './lab.mjs';
import { plainCaptured, report } from './report.mjs';

const RECEIVER_V6 = 'fd78::2';
/** An IP protocol for experiments (RFC 3692). */
const RAW_PROTOCOL = 253;
/** One packet under way at a time, for all but the stream. */
const PACED = { 'gap-us': 4000 };
const PATIENT = { 'idle-ms': 1000, buffer: 4_000_000 };

const [traffic, countText, streamText, rungs] = process.argv.slice(2);
const count = Number(countText);

await withVeth(async () => {
  addIpv6();
  // Fragments each: two more than the datagram.
  const large = { send: { ...PACED, size: 4000 }, receive: PATIENT };
  await phase('fragments', () => throughVeth(traffic, 'udp', 5501, count, large));
  const withOptions = { send: { ...PACED, options: 1 }, receive: PATIENT, address: RECEIVER_V6 };
  await phase('ipv6 options', () => throughVeth(traffic, 'udp', 5502, count, withOptions));
  const segments = { send: { ...PACED, options: 1 }, address: RECEIVER_V6 };
  await phase('segments behind ipv6 options', () =>
    throughVeth(traffic, 'tcp', 5504, count, segments),
  );
  const raw = { send: PACED, receive: PATIENT };
  await phase('raw', () => throughVeth(traffic, 'raw', RAW_PROTOCOL, count, raw));
  reorder();
  const stream = { send: { size: 1400, 'gap-us': 1000, burst: 7 } };
  await phase('out of order', () => throughVeth(traffic, 'tcp', 5503, Number(streamText), stream));
});

async function phase(name, during) {
  const captures = [];
  try {
    for (const { rung, options } of JSON.parse(rungs)) {
      captures.push({ rung, capture: openKernelCapture(loadAddon(), options) });
    }
    const before = counter('TcpExt', 'TCPOFOQueue');
    const { received } = await during();
    // A packet whose socket never heard of it is given up after two seconds.
    await sleep(2500);
    const outOfOrder = counter('TcpExt', 'TCPOFOQueue') - before;
    for (const { rung, capture } of captures) {
      const { states, failure } = capture;
      capture.detach();
      const captured = {
        states,
        failure,
        reading: capture.read(),
        observations: [],
        seconds: 0,
      };
      report({
        phase: name,
        rung,
        received,
        outOfOrder,
        captured: plainCaptured(captured),
      });
    }
  } finally {
    for (const { capture } of captures) capture.close();
  }
}

function addIpv6() {
  for (const [at, device, host] of [
    [[], DEVICE, 2],
    [['-n', SENDER_NAMESPACE], SENDING_DEVICE, 1],
  ]) {
    const peer = 3 - host;
    ip(...at, 'addr', 'add', `fd78::${host}/64`, 'dev', device, 'nodad');
    const to = ['lladdr', `02:00:00:00:78:0${peer}`, 'dev', device, 'nud', 'permanent'];
    ip(...at, 'neigh', 'replace', `fd78::${peer}`, ...to);
  }
}

/** Every fifth packet goes at once, the others 10 ms later. */
function reorder() {
  execFileSync('modprobe', ['sch_netem']);
  const netem = ['netem', 'delay', '10ms', 'reorder', '100%', 'gap', '5'];
  const words = ['-n', SENDER_NAMESPACE, 'qdisc', 'add', 'dev', SENDING_DEVICE, 'root'];
  execFileSync('tc', [...words, ...netem]);
  // Segments of their own, not 64 KiB that are cut up behind the qdisc.
  const inside = ['netns', 'exec', SENDER_NAMESPACE, 'ethtool', '-K', SENDING_DEVICE];
  execFileSync('ip', [...inside, 'tso', 'off', 'gso', 'off']);
}
