// The addon's ethtool call and what src/host/ethtool.ts makes of it, on real devices: a veth pair,
// and whatever this machine has, against what ethtool(8) says of them. And that the kernel cannot
// write beyond a buffer.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { listDevices } from '../../src/host/devices.ts';
import { deviceSettings, ETHTOOL_BYTES_MAX, type EthtoolCall } from '../../src/host/ethtool.ts';
import { driverStatistics } from '../host/driver_statistics.ts';
import { failureOf } from './fixture.ts';
import { Netns } from './netns.ts';

const { EFAULT, EINVAL, ENODEV } = constants.errno;
const GDRVINFO = 0x03;
const GSTRINGS = 0x1b;
const ETH_SS_FEATURES = 4;

const addon = loadAddon();
const here: EthtoolCall = (device, buffer) => addon.ethtool(device, buffer);

let netns: Netns;
beforeAll(() => {
  netns = new Netns('ethtool');
  netns.batch(['link add va type veth peer name vb', 'link set va up', 'link set vb up']);
});
afterAll(() => netns.close());

/** Where a device is, how it is asked, and how ethtool(8) is run there. */
interface Place {
  readonly device: string;
  readonly call: EthtoolCall;
  readonly ethtool: (...args: string[]) => string;
}

function places(): Place[] {
  return [
    ...listDevices().map(({ name }) => ({
      device: name,
      call: here,
      ethtool: (...args: string[]) => told('ethtool', ...args, name),
    })),
    ...['va', 'lo'].map((device) => ({
      device,
      call: netns.ethtool,
      ethtool: (...args: string[]) =>
        told('ip', 'netns', 'exec', netns.name, 'ethtool', ...args, device),
    })),
  ];
}

/** What a command prints; nothing when it fails, as ethtool does where a driver lacks the thing. */
function told(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

describe('each device of this machine, a veth and a loopback', () => {
  test('is driven as `ethtool -i` says', () => {
    for (const { device, call, ethtool } of places()) {
      const lines = new Map(fields(ethtool('-i')));
      const driver =
        lines.size === 0
          ? undefined
          : {
              driver: lines.get('driver'),
              version: lines.get('version'),
              firmware: lines.get('firmware-version'),
              bus: lines.get('bus-info'),
            };
      expect(deviceSettings(call, device).driver, device).toEqual(driver);
    }
    expect(deviceSettings(netns.ethtool, 'va').driver?.driver).toBe('veth');
  });

  test('has the rings, the coalescing and the channels of `ethtool -g`, `-c` and `-l`', () => {
    for (const { device, call, ethtool } of places()) {
      const { rings, coalescing, channels, problems } = deviceSettings(call, device);
      expect(problems).toEqual([]);
      const [ringsMax, ringsSet] = twoParts(ethtool('-g'));
      expect(rings, device).toEqual(
        ringsSet && {
          rx: ringsSet('RX'),
          rxMax: ringsMax?.('RX'),
          tx: ringsSet('TX'),
          txMax: ringsMax?.('TX'),
        },
      );
      const text = ethtool('-c');
      const value = numberIn(text);
      const adaptive = /^Adaptive RX: (\S+) +TX: (\S+)/m.exec(text);
      expect(coalescing, device).toEqual(
        adaptive === null
          ? undefined
          : {
              rxUsecs: value('rx-usecs'),
              rxFrames: value('rx-frames'),
              adaptiveRx: adaptive[1] === 'on',
              txUsecs: value('tx-usecs'),
              txFrames: value('tx-frames'),
              adaptiveTx: adaptive[2] === 'on',
            },
      );
      const [max, set] = twoParts(ethtool('-l'));
      expect(channels, device).toEqual(
        set && {
          rx: set('RX'),
          rxMax: max?.('RX'),
          tx: set('TX'),
          txMax: max?.('TX'),
          other: set('Other'),
          otherMax: max?.('Other'),
          combined: set('Combined'),
          combinedMax: max?.('Combined'),
        },
      );
    }
    expect(deviceSettings(netns.ethtool, 'va').channels?.rx).toBeGreaterThan(0);
  });

  test('has the features of `ethtool -k`, on and fixed as there', () => {
    for (const { device, call, ethtool } of places()) {
      const { features } = deviceSettings(call, device);
      // Some that ethtool(8) knows by an older name are indented or named otherwise: not compared.
      const lines = fields(ethtool('-k')).filter(([name]) => features?.has(name));
      expect(lines.length, device).toBeGreaterThan(20);
      for (const [name, value] of lines)
        expect({ name, ...features?.get(name) }, device).toEqual({
          name,
          active: /^on\b/.test(value),
          fixed: value.includes('[fixed]'),
        });
    }
  });

  test('has the statistics of `ethtool -S`, by the same names in the same order', () => {
    for (const { device, call, ethtool } of places()) {
      const statistics = driverStatistics(call, device);
      const lines = fields(ethtool('-S')).filter(([, value]) => value !== '');
      expect(
        [...(statistics?.keys() ?? [])].map((name) => name.trim()),
        device,
      ).toEqual(lines.map(([name]) => name));
    }
  });

  test('has the same values where no packet moves them', () => {
    const statistics = driverStatistics(netns.ethtool, 'va');
    const lines = fields(told('ip', 'netns', 'exec', netns.name, 'ethtool', '-S', 'va'));
    expect(statistics?.get('peer_ifindex')).toBeGreaterThan(0);
    expect([...(statistics ?? [])].map(([name, value]) => [name, `${value}`])).toEqual(
      lines.filter(([, value]) => value !== ''),
    );
  });
});

test('a change of a setting is seen: GRO off, and on again', () => {
  const gro = () => deviceSettings(netns.ethtool, 'va').features?.get('rx-gro')?.active;
  netns.run('ethtool', '-K', 'va', 'gro', 'on');
  expect(gro()).toBe(true);
  netns.run('ethtool', '-K', 'va', 'gro', 'off');
  expect(gro()).toBe(false);
});

test('a process without any capability is told as much as root', () => {
  const asRoot = deviceSettings(netns.ethtool, 'va');
  expect(deviceSettings(netns.unprivilegedEthtool, 'va')).toEqual(asRoot);
  expect(driverStatistics(netns.unprivilegedEthtool, 'va')?.size).toBeGreaterThan(1);
});

test('a device that is not there has nothing, and that is no error', () => {
  expect(deviceSettings(here, 'rxscope-none')).toEqual({ problems: [] });
  expect(driverStatistics(here, 'rxscope-none')).toBeUndefined();
});

describe('a buffer', () => {
  const GUARD = 0xa5;
  /** In the midst of memory of which each byte would show a write. */
  function guarded(bytes: number): { all: Uint8Array; buffer: Uint8Array } {
    const all = new Uint8Array(bytes + 8192).fill(GUARD);
    const buffer = all.subarray(4096, 4096 + bytes).fill(0);
    return { all, buffer };
  }
  function writtenOutside(all: Uint8Array, bytes: number): number {
    return all.filter((byte, at) => (at < 4096 || at >= 4096 + bytes) && byte !== GUARD).length;
  }
  function features(room: number): { errno: number; outside: number; names: number } {
    const { all, buffer } = guarded(12 + 32 * room);
    const view = new DataView(buffer.buffer, buffer.byteOffset);
    view.setUint32(0, GSTRINGS, true);
    view.setUint32(4, ETH_SS_FEATURES, true);
    const errno = addon.ethtool('lo', buffer);
    return {
      errno,
      outside: writtenOutside(all, buffer.length),
      names: view.getUint32(8, true),
    };
  }

  test('that has no room for all names is refused, and nothing is written anywhere', () => {
    const { names: count } = features(1000);
    expect(count).toBeGreaterThan(40);
    for (const room of [0, 1, 7, count - 1])
      expect(features(room)).toEqual({ errno: EFAULT, outside: 0, names: 0 });
    for (const room of [count, count + 1])
      expect(features(room)).toEqual({ errno: 0, outside: 0, names: count });
  });

  test.each([0, 1, 3, 4, 131, 195])('of %i bytes is too short for the driver’s name', (bytes) => {
    const { all, buffer } = guarded(bytes);
    if (bytes >= 4) new DataView(buffer.buffer, buffer.byteOffset).setUint32(0, GDRVINFO, true);
    const before = [...buffer];
    expect(netns.ethtool('va', buffer)).toBe(EFAULT);
    expect([...buffer]).toEqual(before);
    expect(writtenOutside(all, bytes)).toBe(0);
  });

  test('of more than 4 MiB is refused', () => {
    expect(here('lo', new Uint8Array(ETHTOOL_BYTES_MAX))).not.toBe(EINVAL);
    const failure = failureOf(() => addon.ethtool('lo', new Uint8Array(ETHTOOL_BYTES_MAX + 1)));
    expect(failure).toMatchObject({ operation: 'ethtool', code: 'EINVAL' });
    expect(failure.message).toContain('the buffer is longer than 4 MiB');
  });
});

describe('a name', () => {
  const ask = (device: string) => addon.ethtool(device, Uint8Array.of(GDRVINFO, 0, 0, 0));

  test('of 15 bytes is asked for, one of 16 is none', () => {
    expect(ask('a'.repeat(15))).toBe(ENODEV);
    expect(ask('a'.repeat(16))).toBe(EINVAL);
    expect(ask(`lo${'a'.repeat(4096)}`)).toBe(EINVAL);
    expect(ask('')).toBe(ENODEV);
  });

  test('with a NUL, or that is no string, is refused', () => {
    expect(failureOf(() => ask('lo\0x'))).toMatchObject({ operation: 'ethtool', code: 'EINVAL' });
    expect(failureOf(() => ask(7 as unknown as string)).code).toBe('EINVAL');
  });
});

test('1009 calls leave no descriptor and no memory mapped behind', () => {
  const held = () => ({
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').split('\n').length,
  });
  const before = held();
  for (let done = 0; done < 1009; done++) addon.ethtool('lo', new Uint8Array(8192));
  const after = held();
  expect(after.descriptors).toBe(before.descriptors);
  // The JavaScript engine maps and unmaps some of its own.
  expect(after.mappings).toBeLessThan(before.mappings + 500);
});

/** Lines of the form `name: value`, in order. */
function fields(text: string): [string, string][] {
  return text.split('\n').flatMap((line): [string, string][] => {
    const [, name, value] = /^\s*(.+?):(?:\s+(.*))?$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value ?? '']];
  });
}

/** Numbers by name; 0 for what ethtool(8) tells as not available. */
function numberIn(text: string): (name: string) => number {
  const lines = new Map(fields(text));
  return (name) => Number(lines.get(name) === 'n/a' ? 0 : lines.get(name));
}

/** What can be, and what is set; nothing where ethtool(8) printed nothing. */
function twoParts(text: string): readonly (((name: string) => number) | undefined)[] {
  const at = text.indexOf('Current hardware settings');
  return at < 0 ? [] : [numberIn(text.slice(0, at)), numberIn(text.slice(at))];
}
