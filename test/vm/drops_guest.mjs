// Runs in a guest: datagrams to a full socket buffer, and datagrams to a port that nobody has, while
// captures on the given rungs count drops. Judges nothing: drops.test.ts does.
//
//   drops_guest.mjs TRAFFIC COUNT RUNGS
//
// RUNGS is JSON: [{ rung, options }, …]. All captures of a phase see the same packets.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { loadAddon } from '../../dist/addon/addon.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import { readDropReasons } from '../../dist/host/drop_reasons.js';
import { Symbols } from '../../dist/host/symbols.js';
import { counter, RECEIVER, SENDER_NAMESPACE, throughVeth, withVeth } from './lab.mjs';
import { report } from './report.mjs';

const [traffic, countText, rungs] = process.argv.slice(2);
const count = Number(countText);
const reasons = readDropReasons(loadAddon());
const symbols = new Symbols();
const functions = functionsOf(readFileSync('/proc/kallsyms', 'latin1'));

await withVeth(async (ifindex) => {
  await phase('full buffer', 'RcvbufErrors', ifindex, async () => {
    const receive = { buffer: 4096, 'start-delay-ms': 3000, 'idle-ms': 500 };
    const { received } = await throughVeth(traffic, 'udp', 5701, count, { receive });
    return received;
  });
  await phase('no socket', 'NoPorts', ifindex, async () => {
    const send = [traffic, 'send', 'udp', RECEIVER, '5702', `${count}`];
    await promisify(execFile)('ip', ['netns', 'exec', SENDER_NAMESPACE, ...send]);
    return 0;
  });
});

async function phase(name, counterName, ifindex, during) {
  const captures = [];
  try {
    for (const { rung, options } of JSON.parse(rungs)) {
      const capture = openKernelCapture(loadAddon(), options);
      const events = [];
      capture.startRecords({
        outlier: () => {},
        observation: () => {},
        drop: (event) => events.push(event),
      });
      captures.push({ rung, capture, events });
    }
    const before = counter('Udp', counterName);
    const received = await during();
    await sleep(500);
    const kernel = counter('Udp', counterName) - before;
    for (const { rung, capture, events } of captures) {
      capture.detach();
      const { drops, transmitDrops, events: counted } = capture.read();
      capture.drain();
      const rows = drops.map((row) => ({
        ...row,
        ofDevice: row.device === ifindex,
        ...named(row),
      }));
      const told = events.filter(({ localPort }) => localPort === 5701 || localPort === 5702);
      report({
        phase: name,
        rung,
        program: capture.states.find(({ hook }) => hook === 'drop')?.rung?.program,
        known: reasons.known,
        received,
        kernel,
        rows,
        transmitDrops,
        counted: counted.drops,
        events: told.slice(0, 5).map((event) => ({
          ...event,
          ...named(event),
          ofDevice: event.ifindex === ifindex && !event.otherNetns && !event.noDevice,
          location: `${event.location}`,
          symbol: symbols.nameOf(event.location),
          function: functionAt(event.location),
          lowIsReason: Number(event.location & 0xffffffffn) === event.reason,
        })),
      });
    }
  } finally {
    for (const { capture } of captures) capture.close();
  }
}

function named({ reason }) {
  return { name: reasons.known ? reasons.name(reason) : symbols.nameOfLow(reason) };
}

/** The kernel's own functions by address, read in another way than symbols.ts does. */
function functionsOf(text) {
  return text
    .split('\n')
    .map((line) => line.split(/\s/))
    .filter(([, type, , module]) => /^[tTwW]$/.test(type ?? '') && module === undefined)
    .map(([address, , name]) => ({ address: BigInt(`0x${address}`), name }))
    .sort((a, b) => (a.address < b.address ? -1 : 1));
}

function functionAt(location) {
  return functions.findLast(({ address }) => address <= location)?.name;
}
