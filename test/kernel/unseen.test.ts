// What no BPF program is told of accounts for all that rxscope did not see, and for nothing else.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { captureOnce } from '../../src/capture/capture_once.ts';
import { observedOf, printBooks } from './books.ts';
import { Lab, RECEIVER } from './lab.ts';
import { captureAll } from './options.ts';
import { watch } from './unseen.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab?.close());

test('60013 datagrams that RPS moves to another CPU, whatever runs there', async () => {
  const n = 60_013;
  const rps = (mask: string): string =>
    lab.exec(lab.receiver, 'sh', '-c', `echo ${mask} >/sys/class/net/vb/queues/rx-0/rps_cpus`);
  rps('2');
  // Of datagrams of this length alone: the devices have messages of their own.
  const filter = 'name == "vb" && len == 73';
  const { result, all, unseen } = await watch({ 'net/netif_receive_skb': filter }, () =>
    captureOnce(captureAll(), async () => {
      const options = { buffer: 100_000_000, cpu: 0 };
      const receiver = lab.receive('udp', RECEIVER, 5001, n, options);
      await receiver.ready;
      await lab.send('udp', RECEIVER, 5001, n, { cpu: 0, size: 45, burst: 50, 'gap-us': 2000 });
      expect((await receiver.result).received).toBe(n);
    }),
  );
  rps('0');
  expect(all('net/netif_receive_skb')).toBe(n);
  const observed = observedOf(result, 'receive_to_socket', 'udp');
  expect(observed, printBooks(result)).toBe(n - unseen('net/netif_receive_skb'));
  console.log(`no BPF program was told of ${n - observed} of ${n} datagrams`);
});
