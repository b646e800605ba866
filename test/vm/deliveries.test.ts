// Every packet of every case: what each rung observes of it equals what an independent trace of the kernel
// says, to the unit and with the same two ends. Packets come alone and in lists, over the devices that a host
// may have before its sockets, to one socket and to several, on one CPU and on two.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACHES, casts, forceRung, HOOKS, type Hook } from '../../src/capture/hooks.ts';
import { PROTOCOLS } from '../../src/capture/slots.ts';
import { booksOf } from '../kernel/books.ts';
import { captureAll } from '../kernel/options.ts';
import {
  differences,
  isObserved,
  longestList,
  type Packet,
  packetsOf,
  type Told,
  unseenByAll,
} from './deliveries.ts';
import { type Case, casesOfKinds, casesOfWays, LISTS } from './delivery_cases.ts';
import { GUEST_TIMEOUT_MS, runInGuest, runOnThisMachine } from './guest.ts';

interface Host {
  readonly name: string;
  /** As guest.sh takes it; absent: the kernel that this machine runs. */
  readonly series?: string;
  readonly rungs: Readonly<Record<string, readonly Hook[]>>;
  readonly cases: readonly Case[];
}

const TRACEPOINTS = ['tp_btf', 'raw_tp', 'tracepoint'] as const;
/** Ways that every kernel of a host with network namespaces has, and those that Debian's has. */
const WAYS = ['plain', 'macvlan', 'bridge', 'vxlan'];
const MORE_WAYS = ['ipvlan_l2', 'ipvlan_l3', 'vlan', 'vlan_in_band', 'qinq', 'bond', 'team', 'vrf'];

/** `npm run test:vm`: a guest, too, has packets in lists of each length and of each kind. */
const ALL = process.env.RXSCOPE_KERNELS === 'all';

const HOSTS: readonly Host[] = [
  {
    name: 'this machine',
    rungs: {
      ...Object.fromEntries(TRACEPOINTS.map((attach) => [attach, forceRung(HOOKS, attach)])),
      'tp_btf without casts': forceRung(HOOKS, 'tp_btf').map((hook) => ({
        ...hook,
        rungs: hook.rungs.filter((rung) => !casts(rung)),
      })),
    },
    cases: [...casesOfWays(WAYS, 307, LISTS), ...casesOfKinds(WAYS.slice(0, 2), 307)],
  },
  {
    name: '6.12',
    series: '6.12',
    rungs: Object.fromEntries(ATTACHES.map((attach) => [attach, forceRung(HOOKS, attach)])),
    cases: ALL
      ? [
          ...casesOfWays([...WAYS, ...MORE_WAYS], 101, LISTS),
          ...casesOfKinds(['vlan', 'bond'], 101),
        ]
      : casesOfWays([...WAYS, ...MORE_WAYS], 101, [8]),
  },
];

const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'] as const;
const NOTHING_CAPTURED = {
  states: [],
  failure: undefined,
  histograms: new Map(),
  observations: [],
  seconds: 0,
};

/** What the kernel itself sends and drops meanwhile: reports of multicast listeners. */
const NOISE_MAX = 64;
/**
 * The kernel runs no program twice at a time on a CPU: the softirq that interrupts one of a process's drops
 * has its own drop unseen. Such a packet is not_queued.
 */
const DROPS_UNSEEN_MAX = 3;

// On the root file system, the only one that a guest sees.
const folder = mkdtempSync('/var/tmp/rxscope-deliveries-');
const numbered = join(folder, 'numbered');
beforeAll(() => {
  const source = fileURLToPath(new URL('../kernel/traffic/numbered.cc', import.meta.url));
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', numbered, source]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(HOSTS)('$name', ({ name, series, rungs, cases }) => {
  let all: Told[] = [];
  beforeAll(async () => {
    const task = join(folder, `${name}.json`);
    const captures = Object.entries(rungs).map(([rung, hooks]) => ({
      rung,
      options: captureAll({ hooks, exact: true, pagesPerCpu: 128, devices: 4 }),
    }));
    writeFileSync(task, JSON.stringify({ numbered, rungs: captures, cases }));
    // Programs on functions come and go with each case: at once, every second guest dies of the emulation.
    const what = { script: 'deliveries_guest.mjs', args: [task], cpus: 'in turn' } as const;
    const lines = await (series === undefined
      ? runOnThisMachine(what)
      : runInGuest({ ...what, series }));
    all = lines as unknown as Told[];
  }, GUEST_TIMEOUT_MS);

  test.each(cases.map((one, i) => [titleOf(one), i] as const))('%s', (_, i) => {
    const [one, told] = [cases[i], all[i]];
    if (one === undefined || told === undefined)
      throw new Error('the host did not report this case');
    expect(problemsOf(one, told)).toEqual([]);
  });

  test('the books of every rung balance when all is over', () => {
    const differences = all.at(-1)?.rungs.map(({ rung, reading }) => {
      const captured = { ...NOTHING_CAPTURED, reading };
      return [rung, ...PACKET_PROBES.map((probe) => booksOf(captured, probe).difference)];
    });
    expect(differences).toEqual(Object.keys(rungs).map((rung) => [rung, 0, 0]));
  });

  test('packets came in lists as long as they were to be', () => {
    for (const list of new Set(cases.map((one) => one.list))) {
      const lengths = cases.flatMap((one, i) => {
        const told = all[i];
        // What a bridge passes up, or a backlog, comes alone.
        if (one.list !== list || told?.ways[0]?.receivedAnew !== false) return [];
        return [longestList(packetsOf(one, told), told)];
      });
      expect(Math.max(...lengths), `lists of ${list}`).toBe(list);
    }
  });
});

function titleOf({ kind, ways, list }: Case): string {
  return `${kind}: ${ways.join(' and ')}, lists of ${list}`;
}

/** All that is wrong with what the rungs observed in one case. */
function problemsOf(one: Case, told: Told): string[] {
  const traced = packetsOf(one, told);
  const unseen = unseenByAll(traced, told);
  const seeable = traced.filter((packet) => !unseen.includes(packet));
  // What is cut up for its socket is freed before its parts are queued. Another CPU may use its memory by
  // then: to tell whose they are would be to guess.
  const mayMiss = one.rps === true && !one.cut;
  const devices = told.ways.flatMap(({ ifindex, lowerIfindex }) => [ifindex, lowerIfindex]);
  return told.rungs.flatMap((line) => {
    const observed = (wanted: string) =>
      line.observations.filter(
        ([probe, protocol, , , , device]) =>
          probe === wanted && PROTOCOLS[protocol] === 'udp' && devices.includes(device),
      );
    const missed = mayMiss
      ? seeable.filter((packet) => !isObserved(packet, observed('receive_to_socket')))
      : [];
    const packets = seeable.filter((packet) => !missed.includes(packet));
    const wrong = [
      ...differences(packets, observed('receive_to_socket'), ({ received }) => received).map(
        (text) => `receive_to_socket: ${text}`,
      ),
      ...differences(packets, observed('softirq_to_socket'), ({ softirq }) => softirq).map(
        (text) => `softirq_to_socket: ${text}`,
      ),
      ...counterProblems(one, told, line, { packets, missed, unseen }),
    ];
    const more = wrong.length > 5 ? [`… and ${wrong.length - 5} more`] : [];
    return [...wrong.slice(0, 5), ...more].map((text) => `${line.rung}: ${text}`);
  });
}

/** Whether the counters tell what became of the packets that no UDP socket was told of. */
function counterProblems(
  one: Case,
  told: Told,
  { reading }: Told['rungs'][number],
  { packets, missed, unseen }: Readonly<Record<'packets' | 'missed' | 'unseen', readonly Packet[]>>,
): string[] {
  if (reading === undefined) return ['nothing was attached'];
  const problems: string[] = [];
  const says = (what: string, n: number, least: number, most: number): void => {
    if (n < least || n > most)
      problems.push(`${what}: ${n}, not ${least}${most > least ? ` to ${most}` : ''}`);
  };
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  const { unmatched, latencies } = reading;
  const countOf = (protocol: string): number =>
    sum(
      latencies
        .filter((row) => row.probe === 'receive_to_socket' && row.protocol === protocol)
        .map(({ histogram }) => sum([...histogram.counts])),
    );
  const fates = unmatched.receive_to_socket ?? {};
  const further =
    sum(packets.map(({ tellings }) => Math.max(0, tellings.length - 1))) +
    sum(missed.map(({ tellings }) => tellings.length));
  const blind = sum(unseen.map(({ tellings }) => tellings.length));
  says('deliveries without a start', reading.deliveriesWithoutStart, further, further + blind);
  const untold = packets.filter(({ tellings }) => tellings.length === 0);
  const raw = untold.filter(({ rawTold }) => rawTold !== undefined).length;
  says('observed of other protocols', countOf('other'), raw, raw + NOISE_MAX);
  // A raw socket's observation is counted, not sent.
  const unsent = 2 * countOf('other');
  says('lost records', sum(Object.values(reading.events).map(({ lost }) => lost)), 0, unsent);
  const cause = one.receive?.sockets === 0 ? 'no_socket' : 'dropped';
  const lost = untold.length - raw;
  // What a lower device received, for all others to get as packets of their own.
  const earlier =
    told.ways.some(({ receivedAnew }) => receivedAnew) || one.send.group ? one.count : 0;
  says(cause, fates[cause] ?? 0, Math.max(0, lost - DROPS_UNSEEN_MAX), lost + earlier + NOISE_MAX);
  return problems;
}
