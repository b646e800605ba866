// `rxscope trace` as a user runs it: a real bpftrace, real packets, and what is said where it cannot.

import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import type { TraceResult } from '../../src/commands/trace/render.ts';
import { DOWNLOAD_MS_MAX, newestBpftrace } from '../kernel/bpftraces.ts';
import { RXSCOPE, Rxscope, runRxscope } from './agent_process.ts';
import { underTraffic } from './loopback.ts';
import { scratch } from './scratch.ts';
import { after, hiding } from './surroundings.ts';

const files = scratch();
const TRACEFS = '/sys/kernel/tracing';

/** rxscope where tracefs is mounted, which bpftrace needs and this machine need not have. */
const WITH_TRACEFS = existsSync(`${TRACEFS}/events`)
  ? RXSCOPE
  : after([['-t', 'tracefs', 'tracefs', TRACEFS]]);
const WITHOUT_TRACEFS = after([hiding(TRACEFS), hiding('/sys/kernel/debug')]);

function trace(...args: readonly string[]) {
  return underTraffic(() => runRxscope(['trace', ...args], WITH_TRACEFS));
}

/** Whether a child of the process, which is bpftrace, has attached everything and listens. */
function childWaitsForEvents(pid: number): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children
    .split(' ')
    .some(
      (child) => child !== '' && /ep_poll|epoll/.test(readFileSync(`/proc/${child}/wchan`, 'utf8')),
    );
}

function observations({ histograms }: TraceResult, name: string, key: string): number {
  return histograms.find((one) => one.name === name && one.key === key)?.count ?? 0;
}

test('without a name it lists the scripts, on any machine', async () => {
  const { code, stdout } = await runRxscope(['trace'], WITHOUT_TRACEFS);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^lock_sock {2,}who waits for a socket's lock, /m);
});

describe('--json', () => {
  test('packet_latency has the three steps of the same packets', async () => {
    const { code, stdout, stderr } = await trace('packet_latency', '--duration', '1s', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as TraceResult;
    expect(result).toMatchObject({ script: 'packet_latency', lost: 0 });
    expect(result.version).toMatch(/^0\.\d+\.\d+$/);
    expect(result.seconds).toBeGreaterThanOrEqual(0.99);
    expect(result.seconds).toBeLessThan(10);
    const { value } =
      result.values.find((one) => one.name === 'packets' && one.key === 'lo,udp') ?? {};
    expect(Number(value)).toBeGreaterThan(1009);
    for (const step of ['softirq_to_receive', 'receive_to_socket']) {
      // Its programs come and go one after the other, while packets flow. test/kernel is exact.
      expect(Math.abs(observations(result, step, 'lo,udp') / Number(value) - 1)).toBeLessThan(0.25);
    }
    for (const { unit, count, buckets } of result.histograms) {
      expect(unit).toBe('ns');
      expect(buckets.reduce((sum, bucket) => sum + bucket.count, 0)).toBe(count);
      for (const { min, max } of buckets) {
        if (min !== null && min > 1 && max !== null) expect(max + 1).toBe(2 * min);
      }
    }
  });

  test('softirq_delay has NET_RX on a CPU', async () => {
    const { stdout } = await trace('softirq_delay', '--duration', '500ms', '--json');
    const { histograms } = JSON.parse(stdout) as TraceResult;
    const served = histograms.filter(({ key }) => key.startsWith('NET_RX,'));
    expect(served.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(101);
    for (const { key } of served) expect(key).toMatch(/^NET_RX,\d+$/);
  });
});

test('as text it draws a histogram for each key, without escape sequences in a pipe', async () => {
  const { code, stdout } = await trace('receive_to_socket', '--duration', '500ms');
  expect(code).toBe(0);
  expect(stripVTControlCharacters(stdout)).toBe(stdout);
  expect(stdout).toMatch(/^receive_to_socket: 0\.5 s with bpftrace 0\.\d+\.\d+; /);
  expect(stdout).toMatch(/^receive_to_socket \[lo, 0, 17\]\n {2}p50 ≤ [\d.]+ [nµm]?s {3}p90 ≤ /m);
  expect(stdout).toMatch(/^ +[\d.]+ [nµm]?s … [\d.]+ [nµm]?s │█+ +\d+$/m);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends it early, and what was measured is printed',
  async (signal) => {
    const args = ['trace', 'packet_latency', '--duration', '60s', '--json'];
    const running = new Rxscope(args, WITH_TRACEFS);
    const { code, stdout } = await underTraffic(async () => {
      await vi.waitFor(() => expect(childWaitsForEvents(running.pid)).toBe(true), {
        timeout: 30_000,
        interval: 50,
      });
      running.child.kill(signal);
      return running.ended;
    });
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as TraceResult;
    expect(result.seconds).toBeLessThan(30);
    expect(result.histograms.map(({ name }) => name)).toContain('receive_to_socket');
  },
);

describe('it says what is wrong, why, and what to do:', () => {
  test('tracefs is not mounted', async () => {
    const { code, stdout, stderr } = await runRxscope(['trace', 'softirq_delay'], WITHOUT_TRACEFS);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^rxscope: cannot trace softirq_delay: tracefs is not mounted.*`mount -t tracefs tracefs \/sys\/kernel\/tracing`\n$/,
    );
  });

  test('there is no bpftrace', async () => {
    const empty = join(files.folder, 'empty');
    mkdirSync(empty);
    const { code, stderr } = await runRxscope(['trace', 'softirq_delay'], RXSCOPE, { PATH: empty });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'rxscope: cannot trace softirq_delay: bpftrace is not installed, or not in PATH; install it, on Debian with `apt-get install bpftrace`\n',
    });
  });

  test('in JSON, too', async () => {
    const args = ['trace', 'softirq_delay', '--json'];
    const { code, stdout } = await runRxscope(args, WITHOUT_TRACEFS);
    expect(code).toBe(1);
    expect((JSON.parse(stdout) as TraceResult).reason).toContain('tracefs is not mounted');
  });

  test.each(['installed', 'newest'])(
    'the kernel has no kprobes for lock_sock, under the %s bpftrace',
    async (which) => {
      const folder = join(files.folder, which);
      mkdirSync(folder);
      if (which === 'newest') symlinkSync(newestBpftrace(), join(folder, 'bpftrace'));
      const env = { PATH: `${folder}:${process.env.PATH}` };
      const args = ['trace', 'lock_sock', '--duration', '100ms'];
      const { code, stderr } = await runRxscope(args, WITH_TRACEFS, env);
      const kprobes = readFileSync('/proc/kallsyms', 'utf8').includes(' register_kprobe\n');
      expect({ code, stderr }).toEqual({
        code: kprobes ? 0 : 1,
        stderr: kprobes
          ? ''
          : expect.stringMatching(
              /^rxscope: cannot trace lock_sock: the script needs kprobes, and this kernel has none.*; run it under another kernel\n$/,
            ),
      });
    },
    DOWNLOAD_MS_MAX,
  );
});
