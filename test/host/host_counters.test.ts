// The host's counters over several gathers: of this machine, and of a modelled one whose CPUs, devices
// and files come and go.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { readCpus } from '../../src/host/cpus.ts';
import { HostCounters, hostSources } from '../../src/host/host_counters.ts';
import type { Link } from '../../src/host/links.ts';
import { HOST_ROOTS } from '../../src/host/roots.ts';
import { dropFamilies } from '../../src/metrics/drop_families.ts';
import { hostFamilies } from '../../src/metrics/host_families.ts';
import type { ScalarSample } from '../../src/metrics/model.ts';
import { keyOf } from '../../src/metrics/samples.ts';
import { ShownCpus } from '../../src/metrics/shown_cpus.ts';
import { type CollectorRuns, Collectors } from '../../src/readings/collectors.ts';
import { type WholeMachine, writeMachine } from '../metrics/whole_machine.ts';
import { writeManyCpusCounters } from './many_cpus.ts';

const SMALL = { cpus: 4, devices: 6, queues: 2, offline: [] };

/** Names of the collectors that failed. */
function failures(collectors: CollectorRuns): string[] {
  return collectors.runs.filter(({ success }) => !success).map(({ collector }) => collector);
}

function newCollectors(): CollectorRuns {
  return new Collectors({ error: () => {}, debug: () => {} } as never).begin();
}

describe('on this machine', () => {
  test('every source is read, and every online CPU and the loopback are there', () => {
    const collectors = newCollectors();
    const reading = new HostCounters(hostSources(loadAddon)).gather(collectors);
    expect(failures(collectors)).toEqual([]);
    expect(reading.cpus).toEqual(readCpus().online);
    expect(reading.links.map(({ name }) => name)).toContain('lo');
    expect(reading.settings?.netdevBudget).toBe(
      Number(readFileSync('/proc/sys/net/core/netdev_budget', 'utf8')),
    );
  });

  test('what it counts lies between what /proc said before and after', () => {
    const netRx = (): number =>
      readFileSync('/proc/softirqs', 'utf8')
        .split('\n')
        .filter((line) => line.includes('NET_RX'))
        .flatMap((line) => line.trim().split(/\s+/).slice(1))
        .reduce((sum, word) => sum + Number(word), 0);
    const host = new HostCounters(hostSources(loadAddon));
    host.gather(newCollectors());
    const before = netRx();
    const { softirqs } = host.gather(newCollectors());
    const after = netRx();
    const counted = [...(softirqs.get('NET_RX')?.values() ?? [])].reduce((sum, n) => sum + n, 0);
    expect(counted).toBeGreaterThanOrEqual(before);
    expect(counted).toBeLessThanOrEqual(after);
  });
});

describe('on a modelled machine', () => {
  let folder: string;
  let machine: WholeMachine;
  let host: HostCounters;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rxscope-host-'));
    machine = writeMachine(folder, SMALL);
    host = new HostCounters(machine.sources);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Every counter by family and labels. */
  function counters(nowMs = 0): Map<string, number> {
    const shown = new ShownCpus(2_000);
    const reading = host.gather(newCollectors(), nowMs);
    const values = new Map<string, number>();
    const known = { devices: [], dropReasons: [] };
    const drops = dropFamilies({ counted: false, packets: undefined, known, host: reading });
    for (const { type, name, samples } of [...hostFamilies(reading, shown).families, ...drops]) {
      if (type !== 'counter') continue;
      for (const one of samples as ScalarSample[])
        values.set(`${name} ${keyOf(one.labels)}`, one.value);
    }
    return values;
  }

  function fallen(before: Map<string, number>, after: Map<string, number>): string[] {
    return [...before].flatMap(([key, value]) => ((after.get(key) ?? -1) < value ? [key] : []));
  }

  test('nothing falls or goes when CPUs go offline and come back', () => {
    const start = counters();
    writeManyCpusCounters(folder, { ...SMALL, offline: [1, 3], step: 1 });
    const without = counters();
    expect(fallen(start, without)).toEqual([]);
    expect(without.get('rxscope_softnet_processed_total 3\0')).toBe(
      start.get('rxscope_softnet_processed_total 3\0'),
    );
    writeManyCpusCounters(folder, { ...SMALL, step: 2 });
    expect(fallen(without, counters())).toEqual([]);
  });

  /** Every number of a file, but those that name a CPU, a row or an interrupt, times a factor. */
  function scale(file: string, factor: number): void {
    const path = join(folder, 'proc', file);
    const text = readFileSync(path, 'utf8');
    const hexadecimal = file.endsWith('softnet_stat');
    const scaled = text.split('\n').map((line) =>
      hexadecimal
        ? line.replace(/\b[0-9a-f]{8}\b/g, (word, at: number) =>
            // Word 12 is the CPU.
            at === 12 * 9 ? word : scaledHex(word, factor),
          )
        : line.replace(/(?<=\s)\d+(?=\s|$)/g, (word) => String(Math.floor(Number(word) * factor))),
    );
    writeFileSync(path, scaled.join('\n'));
  }

  function scaledHex(word: string, factor: number): string {
    return Math.floor(Number.parseInt(word, 16) * factor)
      .toString(16)
      .padStart(8, '0');
  }

  function scaleLinks(factor: number): void {
    machine.links = machine.links.map((one) => ({
      ...one,
      stats: Object.fromEntries(
        Object.entries(one.stats).map(([name, value]) => [name, Math.floor(value * factor)]),
      ) as unknown as Link['stats'],
    }));
  }

  const FALLING: readonly (readonly [string, (factor: number) => void])[] = [
    ...['stat', 'interrupts', 'softirqs', 'self/net/softnet_stat'],
    ...['self/net/snmp', 'self/net/snmp6', 'self/net/netstat'],
  ].map((file) => [file, (factor) => scale(file, factor)] as const);

  test.each([...FALLING, ['links', scaleLinks] as const])(
    'no counter falls when all numbers of %s do, and each rises again from there',
    (_, scaleAll) => {
      scaleAll(1_000);
      const start = counters();
      scaleAll(0.5);
      const halved = counters();
      expect(fallen(start, halved)).toEqual([]);
      scaleAll(0);
      const zero = counters();
      expect(fallen(halved, zero)).toEqual([]);
      expect(zero.size).toBe(start.size);
    },
  );

  test('steal that falls, as on a machine that moved, adds nothing, and then what is new', () => {
    const steal = (seconds: number): number | undefined => {
      const path = join(folder, 'proc/stat');
      const line = `cpu0 1 1 1 1 1 1 1 ${seconds * 100} 0 0`;
      writeFileSync(path, readFileSync(path, 'utf8').replace(/^cpu0 .*$/m, line));
      return counters().get('rxscope_cpu_seconds_total steal\u00000\u0000');
    };
    expect([832_457_433, 436_049_131, 12, 15].map(steal)).toEqual([
      832_457_433, 832_457_433, 832_457_433, 832_457_436,
    ]);
  });

  test('a file that cannot be read leaves what was counted last, and is told', () => {
    const start = counters();
    writeManyCpusCounters(folder, { ...SMALL, step: 1 });
    for (const file of ['softirqs', 'stat', 'self/net/softnet_stat']) {
      writeFileSync(join(folder, 'proc', file), 'nothing that is known\n');
    }
    rmSync(join(folder, 'proc/interrupts'));
    const collectors = newCollectors();
    host.gather(collectors);
    expect(failures(collectors)).toEqual(['cpu_times', 'softnet', 'softirqs', 'interrupt_counts']);
    expect(fallen(start, counters())).toEqual([]);
  });

  test('a driver or netlink that refuses fails alone', () => {
    host = new HostCounters({
      ...machine.sources,
      ethtool: () => 1,
      links: () => {
        throw new Error('netlink');
      },
    });
    const collectors = newCollectors();
    const { softirqs } = host.gather(collectors);
    expect(failures(collectors)).toEqual(['links']);
    expect(softirqs.size).toBeGreaterThan(0);
  });

  test('a device that is gone takes its series with it, and no others', () => {
    const start = counters();
    machine.links = machine.links.filter(({ name }) => name !== 'eth1');
    const after = counters();
    const gone = [...start.keys()].filter((key) => !after.has(key));
    expect(gone.length).toBeGreaterThan(0);
    // The interrupts stay as long as the kernel lists them.
    expect(gone.filter((key) => !key.includes('eth1'))).toEqual([]);
    expect(
      [...after.keys()].filter((key) => key.includes('interface_') && key.includes('eth1')),
    ).toEqual([]);
  });

  test('drivers of more than 32 devices are all asked at first, and then in turn', () => {
    const [lo, port] = machine.links;
    if (lo === undefined || port === undefined) throw new Error('the model has no devices');
    machine.links = [lo, ...Array.from({ length: 70 }, (_, at) => ({ ...port, name: `p${at}` }))];
    const asked: Set<string>[] = [];
    host = new HostCounters({
      ...machine.sources,
      ethtool: (device, buffer) => {
        asked.at(-1)?.add(device);
        return machine.sources.ethtool(device, buffer);
      },
    });
    // Facts, for which drivers are asked as well, are not read again within the minute.
    const gather = (): Set<string> => {
      asked.push(new Set());
      const { driverDrops } = host.gather(newCollectors(), 0);
      expect(driverDrops.size).toBe(70);
      return asked.at(-1) ?? new Set();
    };
    expect(gather().size).toBe(70);
    const turns = [gather(), gather(), gather()];
    expect(turns.map(({ size }) => size)).toEqual([32, 32, 32]);
    expect(new Set(turns.flatMap((turn) => [...turn])).size).toBe(70);
    // One that comes later is asked at once.
    machine.links = [...machine.links, { ...port, name: 'late' }];
    asked.push(new Set());
    expect(host.gather(newCollectors(), 0).driverDrops.has('late')).toBe(true);
  });

  test('facts of all devices are read at first, then those of four in a gather, once a minute', () => {
    const queues = (nowMs: number): (number | undefined)[] =>
      host
        .gather(newCollectors(), nowMs)
        .devices.map(({ steering }) => steering?.receive.filter((q) => q.rpsCpus?.length).length);
    expect(queues(0)).toEqual([0, 0, 0, 0, 0, 0]);
    for (const device of machine.devices) {
      writeFileSync(join(folder, 'sys/class/net', device, 'queues/rx-0/rps_cpus'), '3\n');
    }
    expect(queues(59_999)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(queues(60_000).filter((on) => on === 1)).toHaveLength(4);
    expect(queues(75_000)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

test('without the files of a machine it says nothing, and throws nothing', () => {
  const host = new HostCounters({
    roots: { ...HOST_ROOTS, proc: '/nowhere', sys: '/nowhere' },
    links: () => [],
    ethtool: () => 1,
  });
  const collectors = newCollectors();
  const { families } = hostFamilies(host.gather(collectors), new ShownCpus(2_000));
  expect(failures(collectors)).toContain('softnet');
  expect(families.flatMap(({ name, samples }) => (samples.length > 0 ? [name] : []))).toEqual([]);
});
