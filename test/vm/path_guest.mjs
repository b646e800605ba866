// Runs in a guest: datagrams and a TCP stream over veth, measured by all probes on each of the given
// rungs at the same time, beside the kernel's own counts. Judges nothing: path.test.ts does.
//
//   path_guest.mjs TRAFFIC COUNT RUNGS
//
// RUNGS is JSON: [{ rung, options }, …]. All captures of a phase see the same packets.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../dist/addon/addon.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import { readSoftirqs } from '../../dist/host/softirqs.js';
import { DEVICE, SENDER_NAMESPACE, SENDING_DEVICE, throughVeth, withVeth } from './lab.mjs';
import { plainCaptured, report } from './report.mjs';
import { since } from './since.mjs';

const PACED = { cpu: 0, 'gap-us': 4000 };
const READER = { cpu: 1, 'idle-ms': 1000, buffer: 4_000_000 };

const [traffic, countText, rungs] = process.argv.slice(2);
const count = Number(countText);
const options = { send: PACED, receive: READER };

await withVeth(async () => {
  const before = runs();
  const captures = JSON.parse(rungs).map(({ rung, options }) => ({
    rung,
    capture: openKernelCapture(loadAddon(), options),
  }));
  const phase = async (name, during) => {
    const earlier = captures.map(({ capture }) => capture.read());
    const received = await during();
    await sleep(200);
    for (const [i, { rung, capture }] of captures.entries()) {
      const { states } = capture;
      const reading = since(earlier[i], capture.read());
      const captured = plainCaptured({ states, reading, observations: [], seconds: 0 });
      report({ phase: name, rung, received, captured });
    }
  };
  const inside = runs();
  await phase(
    'udp',
    async () => (await throughVeth(traffic, 'udp', 5601, count, options)).received,
  );
  await phase('tcp', async () => (await throughVeth(traffic, 'tcp', 5602, count, options)).bytes);
  // A NAPI of the device's own, whose packets RPS moves: they reach a backlog without netif_rx.
  execFileSync('ethtool', ['-K', DEVICE, 'gro', 'on']);
  const sender = ['netns', 'exec', SENDER_NAMESPACE, 'ethtool', '-K', SENDING_DEVICE];
  execFileSync('ip', [...sender, 'tso', 'off']);
  writeFileSync(`/sys/class/net/${DEVICE}/queues/rx-0/rps_cpus`, '2');
  await phase(
    'rps',
    async () => (await throughVeth(traffic, 'udp', 5603, count, options)).received,
  );
  const insideAfter = runs();
  const all = captures.map(({ rung, capture }) => {
    capture.detach();
    const { states } = capture;
    const reading = capture.read();
    return { rung, captured: { states, reading, observations: [], seconds: 0 } };
  });
  const least = difference(inside, insideAfter);
  const most = difference(before, runs());
  for (const { rung, captured } of all) {
    report({ phase: 'all', rung, least, most, captured: plainCaptured(captured) });
  }
  for (const { capture } of captures) capture.close();
});

/** Runs of each softirq vector so far. */
function runs() {
  return Object.fromEntries(
    [...readSoftirqs()].map(([vector, cpus]) => [
      vector,
      [...cpus.values()].reduce((a, b) => a + b, 0),
    ]),
  );
}

function difference(before, after) {
  return Object.fromEntries(Object.entries(after).map(([name, n]) => [name, n - before[name]]));
}
