// Runs in a guest: measures once for each line of options that it is given, each time over the same
// traffic on loopback. Judges nothing: rungs.test.ts does.
//
//   loopback_guest.mjs DATAGRAMS MESSAGES OPTIONS...
//
// One datagram or message is under way at a time: a guest is slow, and none shall be lost or merged.

import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { measure } from '../../dist/agent/measure.js';
import { plainMeasurement, report } from './report.mjs';

const [datagrams, messages, ...runs] = process.argv.slice(2);

for (const options of runs) {
  const measurement = await measure(JSON.parse(options), async () => {
    await sendDatagrams(Number(datagrams));
    await exchangeMessages(Number(messages));
  });
  report({ measurement: plainMeasurement(measurement) });
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
