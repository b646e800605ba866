// A part of kernel_guest.mjs: several captures at the same time, each on rungs of its own, over the
// same packets. First packets on loopback that are held for known times, one under way at a time:
// the rungs must tell the same latencies. Then RPS, bursts and a TCP stream over veth: the books.
// Judges nothing: rung_checks.ts does.

import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { counter, DEVICE, holdWith, throughVeth, withVeth } from './lab.mjs';
import { report } from './report.mjs';

const LOOPBACK_IFINDEX = 1;

export async function measureRungs(
  captures,
  { hold, holdNs, steps, traffic, datagrams, messages, stream, datagramBytes },
) {
  // The times differ by the other captures' programs, which is little beside the hold.
  const held = holdWith(hold, 'hold_packet', {
    hold_ns: holdNs,
    held_ifindex: LOOPBACK_IFINDEX,
    steps,
  });
  await sendDatagrams(datagrams);
  await exchangeMessages(messages);
  held.close();
  await reportAll('held', captures, {});
  await withVeth(async () => {
    const before = { dropped: dropped(), coalesced: coalesced(), hops: hops() };
    const send = { cpu: 0, size: datagramBytes, 'gap-us': 3000, burst: 3 };
    const receive = { cpu: 1, buffer: 8_000_000 };
    const udp = await throughVeth(traffic, 'udp', 5301, datagrams, { send, receive });
    // All packets hop to the other CPU, also while that one is in a softirq of its own. There the
    // stream's reader is interrupted while it holds the socket's lock.
    writeFileSync(`/sys/class/net/${DEVICE}/queues/rx-0/rps_cpus`, '2');
    const rps = await throughVeth(traffic, 'udp', 5302, datagrams, { send, receive });
    const tcp = await throughVeth(traffic, 'tcp', 5303, stream, {
      send: { cpu: 0, size: 60_000 },
      receive: { cpu: 1 },
    });
    await reportAll('veth', captures, {
      udp: udp.received,
      rps: rps.received,
      bytes: tcp.bytes,
      dropped: dropped() - before.dropped,
      coalesced: coalesced() - before.coalesced,
      hops: hops() - before.hops,
    });
  });
}

const dropped = () => counter('Udp', 'RcvbufErrors');
const coalesced = () => counter('TcpExt', 'TCPBacklogCoalesce');

/** Times that one CPU told another of packets for it: the tenth column of softnet_stat. */
function hops() {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n');
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[9], 16), 0);
}

async function reportAll(phase, captures, about) {
  // The last packets may still be on their way through a softirq.
  await sleep(200);
  for (const { rung, captured } of captures.rungsSoFar()) {
    report({ part: 'rungs', phase, rung, about, captured });
  }
}

async function sendDatagrams(count) {
  const receiver = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const sender = dgram.createSocket('udp4');
  for (let i = 0; i < count; i++) {
    const arrived = once(receiver, 'message');
    sender.send('datagram', receiver.address().port, '127.0.0.1');
    await arrived;
  }
  sender.close();
  receiver.close();
}

/** Each message is answered by one as long. */
async function exchangeMessages(count) {
  const server = net.createServer((peer) => peer.pipe(peer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect({ port: server.address().port, host: '127.0.0.1', noDelay: true });
  for (let i = 0; i < count; i++) {
    client.write('message');
    await once(client, 'data');
  }
  client.end();
  await once(client, 'close');
  server.close();
}
