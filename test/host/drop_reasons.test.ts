// Names of drop reasons: from the enums of other kernels, as their BTF has them, and from this
// machine's own.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type KernelEnum, loadAddon } from '../../src/addon/addon.ts';
import { dropReasons, readDropReasons } from '../../src/host/drop_reasons.ts';

/** The reasons whose series exist from the start. */
const COMMON = ['NOT_SPECIFIED', 'NO_SOCKET', 'SOCKET_RCVBUFF', 'NETFILTER_DROP', 'CPU_BACKLOG'];

describe("Debian's Linux 6.1", () => {
  const reasons = dropReasons(enumsOf('debian-6.1'));

  test('has reasons, and one number that is no drop', () => {
    expect(reasons.known).toBe(true);
    expect(reasons.notDrops).toEqual([0]);
  });

  test.each([
    [1, 'NOT_SPECIFIED'],
    [2, 'NO_SOCKET'],
    [6, 'UDP_CSUM'],
    [66, 'UNKNOWN_66'],
    [0, 'UNKNOWN_0'],
    [3 << 16, 'UNKNOWN_196608'],
  ])('%i is %s', (reason, name) => expect(reasons.name(reason)).toBe(name));

  test('tells numbers by name', () => {
    expect(COMMON.map((name) => reasons.numberOf(name))).not.toContain(undefined);
    expect(reasons.numberOf('MAX')).toBeUndefined();
    expect(reasons.numberOf('QUEUE_PURGE')).toBeUndefined();
  });
});

describe("Debian's Linux 6.12 with Open vSwitch and mac80211", () => {
  const reasons = dropReasons(enumsOf('debian-6.12'));

  test('has two numbers that are no drops', () => expect(reasons.notDrops).toEqual([0, 1]));

  test.each([
    [2, 'NOT_SPECIFIED'],
    [3, 'NO_SOCKET'],
    [196611, 'OVS_DROP_EXPLICIT'],
    [196613, 'OVS_DROP_METER'],
    [65537, 'RX_DROP_U_MIC_FAIL'],
    [131073, 'RX_DROP_M_UNEXPECTED_4ADDR_FRAME'],
    // The end of an enum, a mark in one, a reason newer than the enum, and a subsystem newer than it.
    [196620, 'UNKNOWN_OPENVSWITCH_12'],
    [196608, 'UNKNOWN_OPENVSWITCH_0'],
    [65536 + 4711, 'UNKNOWN_MAC80211_UNUSABLE_4711'],
    [7 * 65536 + 1, 'UNKNOWN_458753'],
    [104, 'UNKNOWN_104'],
    [4294901760, 'UNKNOWN_4294901760'],
  ])('%i is %s', (reason, name) => expect(reasons.name(reason)).toBe(name));

  test('without the module, the subsystem has a name and its reasons have none', () => {
    const enums = enumsOf('debian-6.12').filter(({ name }) => name !== 'ovs_drop_reason');
    expect(dropReasons(enums).name(196611)).toBe('UNKNOWN_OPENVSWITCH_3');
  });
});

test('a kernel without the enum has no reasons', () => {
  const reasons = dropReasons([]);
  expect(reasons).toMatchObject({ known: false, notDrops: [] });
  expect(reasons.name(2)).toBe('UNKNOWN_2');
  expect(reasons.numberOf('NO_SOCKET')).toBeUndefined();
});

test("a driver's enum that is called alike does not rename the kernel's reasons", () => {
  const own: KernelEnum = { name: 'card_drop_reason', values: [['CARD_DROP_FULL', 3]] };
  const far: KernelEnum = { name: 'far_drop_reason', values: [['FAR_DROP', 0x990001]] };
  const reasons = dropReasons([own, far, ...enumsOf('debian-6.12')]);
  expect(reasons.name(3)).toBe('NO_SOCKET');
  expect(reasons.name(0x990001)).toBe('UNKNOWN_10027009');
});

test('this kernel names the reasons that its tracepoint prints', () => {
  const reasons = readDropReasons(loadAddon());
  const printed = printedReasons();
  expect(reasons.known).toBe(printed.length > 0);
  expect(printed.map(([number]) => reasons.name(number))).toEqual(printed.map(([, name]) => name));
});

/**
 * What the format of skb:kfree_skb translates: `__print_symbolic(REC->reason, { 2, "NO_SOCKET" }, …)`.
 * Where tracefs is not mounted, it is in a mount namespace that ends with the command.
 */
function printedReasons(): [number, string][] {
  const folder = '/sys/kernel/tracing';
  const mounted = `{ test -e ${folder}/events || mount -t tracefs tracefs ${folder}; }`;
  const script = `${mounted} && cat ${folder}/events/skb/kfree_skb/format`;
  const format = execFileSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' });
  return [...format.matchAll(/\{ (\d+), "(\w+)" \}/g)]
    .map(([, number, name = '']): [number, string] => [Number(number), name])
    .filter(([, name]) => name !== 'MAX');
}

/** Reads the form of the fixtures: `enum NAME`, then a tab and `NAME = NUMBER` for each value. */
function enumsOf(kernel: string): KernelEnum[] {
  const text = readFileSync(
    new URL(`fixtures/drop_reasons/${kernel}.txt`, import.meta.url),
    'utf8',
  );
  return text
    .split(/^enum /m)
    .slice(1)
    .map((part) => {
      const [name = '', ...lines] = part.trimEnd().split('\n');
      const values = lines.map((line): [string, number] => {
        const [valueName = '', value] = line.trim().split(' = ');
        return [valueName, Number(value)];
      });
      return { name, values };
    });
}
