// UDP datagrams over this machine's own loopback. Unlike the veth traffic of test/kernel/lab.ts they
// arrive on a device of the agent's own namespace, where hardly anything else speaks UDP: their
// counts are the test's own.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Sends `count` datagrams and resolves, when all have been read, to the port they went to. */
export async function sendOverLoopback(count: number): Promise<number> {
  const receiver = createSocket({ type: 'udp4', recvBufferSize: 2 ** 21 });
  const sender = createSocket('udp4');
  try {
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const { port } = receiver.address();
    let received = 0;
    const all = new Promise<void>((resolve) => {
      receiver.on('message', () => {
        received += 1;
        if (received === count) resolve();
      });
    });
    for (let sent = 0; sent < count; sent++) await sendOne(sender, port);
    await all;
    return port;
  } finally {
    receiver.close();
    sender.close();
  }
}

/** Sends all the while that `work` takes. */
export async function underTraffic<T>(work: () => Promise<T>): Promise<T> {
  let wanted = true;
  const traffic = (async () => {
    while (wanted) await sendOverLoopback(101);
  })();
  try {
    return await work();
  } finally {
    wanted = false;
    await traffic;
  }
}

function sendOne(sender: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    sender.send('x', port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error)));
  });
}
