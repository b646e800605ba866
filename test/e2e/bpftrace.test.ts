// The agent on bpftrace: what it counts agrees with what was sent, its processes end with it
// whatever happens, and what is missing is said in one sentence.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ProbeStatus } from '../../src/capture/status.ts';
import { COARSE_BOUNDS } from '../../src/histogram/coarse_histogram.ts';
import { Lab, RECEIVER, run } from '../kernel/lab.ts';
import { decodeProtobuf, parseText } from '../metrics/decode.ts';
import { ROOT } from '../repo/project_files.ts';
import {
  type AgentProcess,
  logLine,
  RXSCOPE,
  Rxscope,
  runRxscope,
  startAgent,
} from './agent_process.ts';
import { ENABLED, standings } from './catalogue.ts';
import { sendOverLoopback } from './loopback.ts';
import { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';
import { after, asNobody, hiding, TRACEFS } from './surroundings.ts';

const files = scratch();
/** With a script: bpftrace measures these, and nothing else. */
const PROBES = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'];
const PACKET_PROBES = PROBES.slice(1);
const WITH_TRACEFS = after(TRACEFS);
const PROTOBUF =
  'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
/** bpftrace compiles for a second; a busy machine takes many. */
const SOON = { timeout: 60_000, interval: 100 };

let lab: Lab;
let agent: AgentProcess;
beforeAll(async () => {
  lab = new Lab();
  agent = await startAgent(['--backend', 'bpftrace', '--strict'], WITH_TRACEFS);
}, 60_000);
afterAll(async () => {
  await agent.stop();
  lab.close();
}, 60_000);

async function sendToNamespace(port: number, count: number): Promise<void> {
  const receiver = lab.receive('udp', RECEIVER, port, count);
  await receiver.ready;
  await lab.send('udp', RECEIVER, port, count, { size: 64, 'gap-us': 20 });
  expect((await receiver.result).received).toBe(count);
}

const OF_THE_LAB = { device: '(other netns)', protocol: 'udp' };

describe('a running agent', () => {
  test('says which script stands behind each probe', async () => {
    const numbers = await agent.numbers();
    for (const probe of PROBES) {
      expect(numbers.total('rxscope_probe_up', { probe })).toBe(1);
      const [info] = numbers.find('rxscope_probe_info', { probe });
      expect(info?.labels).toEqual({
        probe,
        program: `${probe}.bt`,
        backend: 'bpftrace',
        attach: 'tracepoint',
      });
    }
    expect(numbers.total('rxscope_collector_success', { collector: 'bpftrace' })).toBe(1);
  });

  test('has no series of what no script measures', async () => {
    const numbers = await agent.numbers();
    const names = PROBES.map((probe) => `rxscope_${probe}_seconds_count`);
    expect(numbers.names(/^rxscope_(?!collector).*_seconds_count$/)).toEqual(names);
    for (const name of ['probe_up', 'budget_seconds', 'events_total'])
      expect(numbers.find(`rxscope_${name}`).map(({ labels }) => labels.probe)).toEqual(PROBES);
  });

  test('counts 1009 datagrams of another namespace, no more, and 503 over loopback', async () => {
    const before = await agent.numbers();
    await sendToNamespace(40_009, 1009);
    await sendOverLoopback(503);
    const numbers = await agent.numbers();
    for (const probe of PACKET_PROBES) {
      const name = `rxscope_${probe}_seconds_count`;
      expect(numbers.total(name, OF_THE_LAB) - before.total(name, OF_THE_LAB)).toBe(1009);
      // On the machine's own loopback others may speak, too.
      const loopback = { device: 'lo', protocol: 'udp' };
      const here = numbers.total(name, loopback) - before.total(name, loopback);
      expect(here).toBeGreaterThanOrEqual(503);
    }
  });

  test('has a sum that fits its buckets, all of them from the start with true bounds', async () => {
    const { body } = await agent.scrape(PROTOBUF);
    for (const probe of PROBES) {
      const family = decodeProtobuf(body).find(({ name }) => name === `rxscope_${probe}_seconds`);
      for (const { histogram } of family?.metric ?? []) {
        if (histogram === undefined) throw new Error('no histogram');
        const bounds = histogram.bucket.map(({ upper_bound }) => upper_bound);
        expect(bounds).toEqual([...COARSE_BOUNDS, Infinity]);
        expect(histogram.positive_span).toBeUndefined();
        let below = 0;
        let least = 0;
        let most = 0;
        for (const { upper_bound, cumulative_count } of histogram.bucket) {
          const here = cumulative_count - below;
          below = cumulative_count;
          if (here === 0) continue;
          least += here * (upper_bound <= 64e-9 ? 0 : upper_bound / 2);
          most += here * upper_bound;
        }
        expect(below).toBe(histogram.sample_count);
        expect(histogram.sample_sum).toBeGreaterThanOrEqual(least);
        expect(histogram.sample_sum).toBeLessThanOrEqual(most);
      }
    }
  });

  test('balances its books, and leaves out what it does not know', async () => {
    await vi.waitFor(async () => {
      const numbers = await agent.numbers();
      const probe = 'receive_to_socket';
      expect(numbers.total('rxscope_received_packets_total')).toBe(
        numbers.total(`rxscope_${probe}_seconds_count`) +
          numbers.total('rxscope_unmatched_total', { probe }) +
          numbers.total('rxscope_pending_packets'),
      );
      expect(numbers.find('rxscope_over_budget_total')).toEqual([]);
    }, SOON);
  });
});

test('a device whose name is not ASCII has its packets', async () => {
  const name = 'unicodeé';
  const [here, there] = [lab.receiver, lab.sender];
  run('ip', '-n', here, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'ua', 'netns', there);
  for (const [ns, device, host] of [
    [here, name, 2],
    [there, 'ua', 1],
  ] as const) {
    run('ip', '-n', ns, 'addr', 'add', `10.77.9.${host}/24`, 'dev', device);
    run('ip', '-n', ns, 'link', 'set', device, 'up');
  }
  const inside = ['ip', 'netns', 'exec', here, ...WITH_TRACEFS];
  const own = await startAgent(['--backend', 'bpftrace', '--strict'], inside);
  const receiver = lab.receive('udp', '10.77.9.2', 40_019, 31);
  await receiver.ready;
  await lab.send('udp', '10.77.9.2', 40_019, 31, { 'gap-us': 200 });
  expect((await receiver.result).received).toBe(31);
  const script = `fetch('${own.url}/metrics').then((a) => a.text()).then((t) => process.stdout.write(t))`;
  const text = lab.exec(here, process.execPath, '-e', script);
  const numbers = new Numbers(parseText(Buffer.from(text), 'text').series);
  for (const probe of PACKET_PROBES) {
    const labels = { device: name, protocol: 'udp' };
    expect(numbers.total(`rxscope_${probe}_seconds_count`, labels)).toBe(31);
  }
  await own.stop();
});

test('the newest bpftrace of Debian counts as well', async () => {
  const script = join(ROOT, 'test/kernel/bpftrace/newest.sh');
  const folder = dirname(run('bash', script).trim());
  const withNewest = ['env', `PATH=${folder}:${process.env.PATH}`, ...RXSCOPE];
  const own = await startAgent(['--backend', 'bpftrace', '--strict'], after(TRACEFS, withNewest));
  await sendToNamespace(40_017, 1013);
  const numbers = await own.numbers();
  for (const probe of PACKET_PROBES) {
    expect(numbers.total(`rxscope_${probe}_seconds_count`, OF_THE_LAB)).toBe(1013);
  }
  expect(numbers.total('rxscope_collector_success', { collector: 'bpftrace' })).toBe(1);
  const { probes } = (await own.json('/api/v1/probes')) as { probes: ProbeStatus[] };
  const version = /bpftrace 0\.(2[7-9]|[3-9]\d)\.|bpftrace [1-9]/;
  const up = probes.filter((probe) => probe.up);
  expect(up.map(({ id }) => id)).toEqual(PROBES);
  for (const { programs } of up) expect(programs[0]?.target).toMatch(version);
  await own.stop();
}, 180_000);

describe('a script that is killed', () => {
  test('is told once, starts again, and no counter runs backwards', async () => {
    const own = await startAgent(['--backend', 'bpftrace', '--strict'], WITH_TRACEFS);
    await sendToNamespace(40_011, 211);
    const before = await own.numbers();
    expect(before.total('rxscope_receive_to_socket_seconds_count', OF_THE_LAB)).toBe(211);
    process.kill(scriptsOf(own).get('receive_to_socket') ?? 0, 'SIGKILL');
    const told = await logLine(own, ({ msg }) => msg === 'probe is not up');
    expect(told).toMatchObject({
      probe: 'receive_to_socket',
      reason: 'bpftrace was ended by SIGKILL; restart 1 of 5 in 1 s',
    });
    const meanwhile = await own.numbers();
    expect(meanwhile.total('rxscope_probe_up')).toBe(2);
    expectNoLess(meanwhile, before);
    await logLine(own, ({ msg }) => msg === 'probe is up again');
    expectNoLess(await own.numbers(), meanwhile);
    await sendToNamespace(40_013, 101);
    const numbers = await own.numbers();
    expect(numbers.total('rxscope_probe_up')).toBe(3);
    expect(numbers.total('rxscope_receive_to_socket_seconds_count', OF_THE_LAB)).toBe(312);
    const { code, ms } = await own.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2000);
  });
});

describe('nothing is left', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('after %s', async (signal) => {
    const own = await startAgent(['--backend', 'bpftrace'], WITH_TRACEFS);
    const pids = [...scriptsOf(own).values()];
    expect(pids).toHaveLength(PROBES.length);
    const { ms } = await own.stop(signal);
    expect(ms).toBeLessThan(2000);
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), {
      timeout: 2000,
      interval: 20,
    });
  });

  test('after a SIGTERM that comes while bpftrace still compiles', async () => {
    const args = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
    const own = new Rxscope([...args, '--backend', 'bpftrace'], WITH_TRACEFS);
    await vi.waitFor(() => expect(childrenOf(own.pid)).toHaveLength(PROBES.length), SOON);
    const pids = childrenOf(own.pid);
    own.child.kill('SIGTERM');
    const { code } = await own.ended;
    expect({ code, left: pids.filter(isRunning) }).toEqual({ code: 0, left: [] });
  });
});

test('backend auto falls back to bpftrace where libbpf cannot measure, and counts as well', async () => {
  const own = await startAgent([], after([...TRACEFS, hiding('/sys/kernel/btf')]));
  const warnings = own.logs().filter(({ level }) => level === 40);
  expect(warnings.map(({ probe }) => probe)).toEqual(PROBES);
  for (const { reason } of warnings) expect(reason).toMatch(/^measures by bpftrace, .*BTF/);
  // What no script measures is not up, and says so.
  const errors = own.logs().filter((line) => line.level === 50 && 'probe' in line);
  expect(errors.map(({ probe }) => probe)).toEqual(ENABLED.filter((id) => !PROBES.includes(id)));
  for (const { reason } of errors) expect(reason).toMatch(/BTF/);
  await sendToNamespace(40_015, 103);
  const numbers = await own.numbers();
  expect(numbers.total('rxscope_probe_up')).toBe(3);
  expect(numbers.total('rxscope_receive_to_socket_seconds_count', OF_THE_LAB)).toBe(103);
  await own.stop();
});

test('`rxscope probes --try bpftrace` says that every script stands, without a reason against it', async () => {
  const { code, stdout } = await runRxscope(
    ['probes', '--try', 'bpftrace', '--json'],
    WITH_TRACEFS,
  );
  expect(code).toBe(0);
  const statuses = JSON.parse(stdout) as ProbeStatus[];
  expect(statuses.map(({ id, up }) => [id, up])).toEqual(standings(PROBES, true));
  const up = statuses.filter((status) => status.up);
  expect(up.map(({ reason }) => reason)).toEqual(PROBES.map(() => ''));
  for (const { id, programs } of up) {
    expect(programs).toMatchObject([
      { backend: 'bpftrace', program: `${id}.bt`, attach: 'tracepoint' },
    ]);
  }
});

test('backend libbpf does not fall back', async () => {
  const command = after([...TRACEFS, hiding('/sys/kernel/btf')]);
  const own = await startAgent(['--backend', 'libbpf'], command);
  expect(childrenOf(own.pid)).toEqual([]);
  expect((await own.numbers()).total('rxscope_probe_up')).toBe(0);
  await own.stop();
});

describe('without', () => {
  test.each([
    {
      missing: 'bpftrace',
      command: () => ['env', 'PATH=/nowhere', ...RXSCOPE],
      reason: /^bpftrace is not installed, or not in PATH; .*apt-get install bpftrace/,
    },
    {
      missing: 'root',
      command: () => asNobody(files.folder, { mounts: TRACEFS }),
      reason: /^bpftrace runs only as root; start rxscope as root$/,
    },
    {
      missing: 'tracefs',
      command: () => after([hiding('/sys/kernel/tracing'), hiding('/sys/kernel/debug')]),
      reason: /^tracefs is not mounted.*`mount -t tracefs tracefs \/sys\/kernel\/tracing`$/,
    },
  ])('$missing the agent runs and says so once for each probe', async ({ command, reason }) => {
    const own = await startAgent(['--backend', 'bpftrace'], command());
    const errors = own.logs().filter(({ level }) => level >= 50);
    expect(errors.map(({ probe }) => probe)).toEqual(PROBES);
    for (const line of errors) expect(line.reason).toMatch(reason);
    const numbers = await own.numbers();
    expect(numbers.total('rxscope_probe_up')).toBe(0);
    expect(numbers.find('rxscope_probe_info')).toEqual([]);
    expect(numbers.total('rxscope_receive_to_socket_seconds_count')).toBe(0);
    await sleep(1500);
    expect(childrenOf(own.pid), 'a script that never stood is not tried again').toEqual([]);
    await own.stop();
  });
});

/** Everything that is a counter of the packets or a part of a histogram. */
function expectNoLess(later: Numbers, earlier: Numbers): void {
  for (const name of earlier.names(/^rxscope_.*_(total|count|sum|bucket)$/)) {
    for (const { labels, value } of earlier.find(name)) {
      expect(later.total(name, labels), `${name} ${JSON.stringify(labels)}`).toBeGreaterThanOrEqual(
        value,
      );
    }
  }
}

/** The running scripts of an agent: probe to process. */
function scriptsOf({ pid }: Rxscope): Map<string, number> {
  return new Map(
    childrenOf(pid).map((child) => {
      const words = readFileSync(`/proc/${child}/cmdline`, 'utf8');
      return [/(\w+)\.bt\0/.exec(words)?.[1] ?? words, child];
    }),
  );
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** A process that has ended may wait for its parent's attention: that is nothing left. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
