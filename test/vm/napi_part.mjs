// A part of kernel_guest.mjs: packets that a NAPI thread polls, and packets that the receiver polls
// itself (busy polling), through a veth pair whose receiving end uses NAPI. Neither passes a NET_RX
// softirq. Judges nothing: napi_checks.ts does.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { DEVICE, SENDER_NAMESPACE, SENDING_DEVICE, throughVeth, withVeth } from './lab.mjs';
import { report } from './report.mjs';

/** Longer than the gap between two datagrams: the receiver polls all the time. */
const BUSY_POLL_US = 100_000;
const SYSCTLS = ['/proc/sys/net/core/busy_poll', '/proc/sys/net/core/busy_read'];

export async function measureNapi(captures, { traffic, datagrams, datagramBytes }) {
  await withVeth(async (ifindex) => {
    const threaded = `/sys/class/net/${DEVICE}/threaded`;
    // With GRO, veth polls by NAPI what its other end has not segmented. 5.10 has neither such GRO
    // nor NAPI threads.
    execFileSync('ethtool', ['-K', DEVICE, 'gro', 'on']);
    execFileSync('ip', [
      'netns',
      'exec',
      SENDER_NAMESPACE,
      'ethtool',
      '-K',
      SENDING_DEVICE,
      'tso',
      'off',
    ]);
    if (!existsSync(threaded)) return;
    const through = (name, port) =>
      throughVeth(traffic, 'udp', port, datagrams, {
        send: { 'gap-us': 2000, cpu: 0, size: datagramBytes[name] },
        receive: { cpu: 1, 'idle-ms': 1000 },
      });
    await phase('softirq', ifindex, () => through('softirq', 5401));
    writeFileSync(threaded, '1');
    await phase('threaded', ifindex, () => through('threaded', 5402));
    writeFileSync(threaded, '0');
    // A kernel built for PREEMPT_RT has no busy polling.
    if (!SYSCTLS.every((path) => existsSync(path))) return;
    await phase('busy_poll', ifindex, () => withBusyPolling(() => through('busy_poll', 5403)));
  });

  async function phase(name, ifindex, during) {
    let received = 0;
    const captured = await captures.measure(async () => {
      ({ received } = await during());
    });
    report({ part: 'napi', phase: name, ifindex, received, captured });
  }
}

async function withBusyPolling(during) {
  const before = SYSCTLS.map((path) => readFileSync(path, 'utf8'));
  try {
    for (const path of SYSCTLS) writeFileSync(path, `${BUSY_POLL_US}`);
    return await during();
  } finally {
    for (const [i, path] of SYSCTLS.entries()) writeFileSync(path, before[i]);
  }
}
