// The map from interrupts to network devices and their queues: of captured and modelled machines
// (fixtures/machines/README.md says which is which), of this one, and of lines that few machines have.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  interruptOwners,
  parseInterrupts,
  readInterrupts,
  sameInterrupts,
} from '../../src/host/interrupts.ts';
import { machine, type Tree, withTree } from './machines.ts';

/** `38 eth0 rx 0`: interrupt, device, direction, queue. */
function ownersOf(roots: { proc: string; sys: string }): string[] {
  return [...interruptOwners(readInterrupts(roots), roots)].map(
    ([irq, { device, direction, queue }]) =>
      [irq, device, direction, ...(queue === undefined ? [] : [queue])].join(' '),
  );
}

function numbered(n: number, line: (index: number) => string): string[] {
  return Array.from({ length: n }, (_, index) => line(index));
}

describe('the interrupts of', () => {
  test.each([
    ['virtio', ['37 eth0 other', '38 eth0 rx 0', '39 eth0 tx 0']],
    [
      'guest',
      [
        // Its bond, its bridge, its veth pair and its VLAN have none.
        '10 eth2 rxtx',
        ...['29 eth0 other', '30 eth0 rx 0', '31 eth0 tx 0'],
        ...['32 eth1 rx 0', '33 eth1 tx 0', '34 eth1 other'],
        ...numbered(4, (queue) => `${35 + queue} eth3 rxtx ${queue}`),
        '39 eth3 other',
      ],
    ],
    [
      'ixgbe',
      [
        ...numbered(8, (queue) => `${53 + queue} eth2 rxtx ${queue}`),
        ...['61 eth2 other', '62 eth3 other'],
        ...numbered(4, (queue) => `${64 + queue} eth3 rxtx ${queue}`),
      ],
    ],
    [
      'i40e',
      [
        '9 enP1s15 other',
        ...numbered(4, (queue) => `${10 + queue} enP1s15 rxtx ${queue}`),
        '14 enP1s15 other',
      ],
    ],
    [
      'mlx5',
      [
        // Not the representor's, which shares the PCI function.
        '287 ens1f0np0 other',
        ...numbered(16, (queue) => `${288 + queue} ens1f0np0 rxtx ${queue}`),
        ...['304 ens1f1np1 other', '305 ens1f1np1 rxtx 0', '306 ens1f1np1 rxtx 1'],
        '307 ens1f1np1 rxtx 2',
      ],
    ],
    [
      'ena',
      [
        ...['65 enp39s0 other', '66 enp39s0 rxtx 0'],
        ...['67 enp39s0 other', '68 enp39s0 other', '69 enp39s0 other'],
      ],
    ],
    ['r8169', numbered(4, (index) => `${122 + index} eth${index} rxtx`)],
    [
      'iwlwifi',
      [...numbered(15, (queue) => `${72 + queue} wlp1s0 rx ${queue}`), '87 wlp1s0 other'],
    ],
  ])('%s', (name, expected) => {
    expect(ownersOf(machine(name))).toEqual(expected);
  });

  test('this machine belong to devices that exist', () => {
    const devices = readdirSync('/sys/class/net');
    for (const { device } of interruptOwners(readInterrupts()).values())
      expect(devices).toContain(device);
  });
});

interface Card {
  readonly name: string;
  /** Of its bus device, below sys/devices. */
  readonly path: string;
  readonly driver?: string;
  readonly vectors?: readonly number[];
  readonly line?: number;
  readonly port?: number;
}

function addCard({ link, write }: Tree, folder: string, card: Card): void {
  const { name, path, driver, vectors = [], line, port } = card;
  const hardware = `sys/devices/${path}`;
  mkdirSync(join(folder, hardware), { recursive: true });
  link({ [`sys/class/net/${name}/device`]: join(folder, hardware) });
  write(Object.fromEntries(vectors.map((irq) => [`${hardware}/msi_irqs/${irq}`, 'msix\n'])));
  if (line !== undefined) write({ [`${hardware}/irq`]: `${line}\n` });
  if (port !== undefined) write({ [`sys/class/net/${name}/dev_port`]: `${port}\n` });
  if (driver === undefined || existsSync(join(folder, hardware, 'driver'))) return;
  mkdirSync(join(folder, 'sys/bus/drivers', driver), { recursive: true });
  link({ [`${hardware}/driver`]: join(folder, 'sys/bus/drivers', driver) });
}

function ownersWith(cards: readonly Card[], lines: readonly string[]): string[] {
  return withTree((tree, folder) => {
    for (const card of cards) addCard(tree, folder, card);
    const rows = lines.map((line) => line.replace(':', ':          1          0 '));
    const header = '           CPU0       CPU1       ';
    tree.write({ 'proc/interrupts': `${[header, ...rows].join('\n')}\n` });
    return ownersOf(tree.roots);
  });
}

const PCI = 'pci0000:00/0000:00';

test('a shared line is the network device that is named on it, if one is', () => {
  expect(
    ownersWith(
      [{ name: 'eth1', path: `${PCI}:1c.0`, driver: 'e100', line: 16 }],
      [
        ' 16:  IO-APIC   16-fasteoi   ehci_hcd:usb1, eth1, i801_smbus',
        ' 17:  IO-APIC   17-fasteoi   ehci_hcd:usb2, snd_hda_intel',
      ],
    ),
  ).toEqual(['16 eth1 rxtx']);
});

test('a line whose handler bears the name of the driver is the device of that driver and line', () => {
  expect(
    ownersWith(
      [
        { name: 'wlan0', path: `${PCI}:1c.0`, driver: 'ath9k', line: 17 },
        { name: 'wlan1', path: `${PCI}:1c.1`, driver: 'ath9k', line: 18 },
        { name: 'eth0', path: `${PCI}:1c.2`, driver: 'e1000', line: 19 },
      ],
      [
        ' 17:  IO-APIC   17-fasteoi   ath9k, ehci_hcd:usb2',
        ' 18:  IO-APIC   18-fasteoi   ath9k',
        // On the card's line, and somebody else's alone.
        ' 19:  IO-APIC   19-fasteoi   ahci, ehci_hcd:usb3',
      ],
    ),
  ).toEqual(['17 wlan0 rxtx', '18 wlan1 rxtx']);
});

test('without vectors and lines in sysfs, names decide, and a name ends where it ends', () => {
  expect(
    ownersWith(
      [
        { name: 'eth1', path: 'platform/20000.eth' },
        { name: 'eth10', path: 'platform/30000.eth' },
        { name: 'wan', path: 'platform/c080000.ethernet' },
      ],
      [
        ' 40:  GIC-0  31 Level     eth1-rx-0',
        ' 41:  GIC-0  32 Level     eth10-rx-0',
        ' 42:  GIC-0  97 Edge      c080000.ethernet:txq4',
        ' 43:  GIC-0  98 Edge      c080000.ethernet:rxq1',
        ' 44:  GIC-0  99 Edge      d080000.ethernet:rxq1',
        ' 45:  PCI-MSI   1-edge      nvme0q3',
      ],
    ),
  ).toEqual(['40 eth1 rx 0', '41 eth10 rx 0', '42 wan tx 4', '43 wan rx 1']);
});

describe('nobody’s is an interrupt', () => {
  const noLine = [255, 0];

  test('of another device alone on the number that a card that is down has in sysfs', () => {
    const card = { name: 'eth0', path: `${PCI}:1c.0`, driver: 'e1000', line: 17 };
    expect(ownersWith([card], [' 17:  IO-APIC   17-fasteoi   ata_piix'])).toEqual([]);
    expect(ownersWith([card], [' 17:  IO-APIC   17-fasteoi   ata_piix, eth0'])).toEqual([
      '17 eth0 rxtx',
    ]);
  });

  test.each(noLine)('of a card to which firmware gave none (%s)', (line) => {
    const card = { name: 'timer', path: `${PCI}:1c.0`, driver: 'e1000', line };
    expect(ownersWith([card], [` ${line}:  IO-APIC   2-edge   timer`])).toEqual([]);
    expect(ownersWith([card], [` ${line}:  IO-APIC   2-edge   e1000`])).toEqual([]);
  });

  const USB_HOST = `${PCI}:14.0/usb1/1-1`;
  test.each([
    ['usb1', `${USB_HOST}/1-1:1.0`, 'ehci_hcd:usb1'],
    ['mmc0', `${USB_HOST}/1-1.4:1.0`, 'mmc0'],
    ['i2c', 'platform/a.eth', 'i2c_designware.0'],
    ['i2c', 'platform/a.eth', 'foo i2c'],
    ['timer', `${PCI}:1c.0`, 'timer'],
    ['eth0', 'platform/a.eth', 'eth01-rx-0'],
    ['eth0', 'platform/a.eth', 'eth0é-rx-0'],
    ['et.0', 'platform/a.eth', 'eth0-rx-0'],
    ['eth0+', 'platform/a.eth', 'eth0-rx-0'],
    ['a,b', 'platform/a.eth', 'a, b'],
  ])('that a device called %s has the name of (%s: %s)', (name, path, action) => {
    expect(
      ownersWith([{ name, path, driver: 'cdc_ether' }], [` 19:  GIC   7 Level   ${action}`]),
    ).toEqual([]);
  });
});

test('names of drivers and buses go before and behind that of a device', () => {
  const path = 'platform/30be0000.ethernet';
  const owner = (name: string, driver: string, action: string): string[] =>
    ownersWith([{ name, path, driver }], [` 40:  GIC-0  31 Level     ${action}`]);
  expect(owner('eth0', 'i40e', 'i40e-eth0-TxRx-3')).toEqual(['40 eth0 rxtx 3']);
  expect(owner('vif1.0', 'vif', 'vif1.0-q2-rx')).toEqual(['40 vif1.0 rx 2']);
  expect(owner('end0', 'fec', '30be0000.ethernet')).toEqual(['40 end0 rxtx']);
  expect(owner('a,b', 'fec', 'a,b')).toEqual(['40 a,b rxtx']);
  expect(owner('eth0(1)', 'fec', 'eth0(1)-rx-2')).toEqual(['40 eth0(1) rx 2']);
});

test('of two names that an action begins with, the longer one is meant', () => {
  const cards = [
    { name: 'eth0', path: 'platform/a.eth' },
    { name: 'eth0-1', path: 'platform/b.eth' },
  ];
  expect(
    ownersWith(cards, [
      ' 40:  GIC-0  31 Level     eth0-1-rx-2',
      ' 41:  GIC-0  31 Level     eth0-rx-2',
    ]),
  ).toEqual(['40 eth0-1 rx 2', '41 eth0 rx 2']);
});

test('a line that bears the old name of a renamed card is not the card’s that has it now', () => {
  expect(
    ownersWith(
      [
        { name: 'lan0', path: `${PCI}:03.0`, driver: '8139too', line: 17 },
        { name: 'eth0', path: `${PCI}:04.0`, driver: '8139too', line: 18 },
      ],
      [' 17:  IO-APIC   17-fasteoi   eth0', ' 18:  IO-APIC   18-fasteoi   eth0'],
    ),
  ).toEqual(['18 eth0 rxtx']);
});

test('a card whose one PCI function has two ports gives what names neither to the first', () => {
  expect(
    ownersWith(
      [
        { name: 'a2', path: `${PCI}:03.0`, driver: 'mlx4_core', vectors: [50, 51, 52], port: 1 },
        { name: 'b1', path: `${PCI}:03.0`, driver: 'mlx4_core', vectors: [50, 51, 52], port: 0 },
      ],
      [
        ' 50:  PCI-MSI   0-edge      mlx4-async@pci:0000:00:03.0',
        ' 51:  PCI-MSI   1-edge      mlx4-1@0000:00:03.0',
        ' 52:  PCI-MSI   2-edge      a2-0',
      ],
    ),
  ).toEqual(['50 b1 other', '51 b1 rxtx 1', '52 a2 rxtx 0']);
});

test('a vector that now bears the old name of its renamed device stays its device’s', () => {
  expect(
    ownersWith(
      [
        { name: 'lan0', path: `${PCI}:03.0`, driver: 'igb', vectors: [60] },
        { name: 'eth0', path: `${PCI}:04.0`, driver: 'igb', vectors: [61] },
      ],
      [' 60:  PCI-MSI   0-edge      eth0-TxRx-0', ' 61:  PCI-MSI   0-edge      eth0-TxRx-0'],
    ),
  ).toEqual(['60 lan0 rxtx 0', '61 eth0 rxtx 0']);
});

test('a device that goes takes its interrupts with it', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, { name: 'eth0', path: `${PCI}:03.0`, vectors: [60] });
    const table = parseInterrupts(
      new TextEncoder().encode('           CPU0       \n 60:          1   PCI-MSI 0-edge      x\n'),
    );
    expect([...interruptOwners(table, tree.roots).keys()]).toEqual([60]);
    tree.remove('sys/class/net/eth0');
    expect(interruptOwners(table, tree.roots).size).toBe(0);
  });
});

test('tables are the same while they list the same interrupts, whatever they count', () => {
  const table = (line: string) =>
    parseInterrupts(new TextEncoder().encode(`           CPU0       CPU1       \n${line}\n`));
  const one = table(' 60:          1          2   PCI-MSI 0-edge      eth0-TxRx-0');
  expect(
    sameInterrupts(one, table(' 60:          9          9   PCI-MSI 0-edge      eth0-TxRx-0')),
  ).toBe(true);
  expect(
    sameInterrupts(one, table(' 60:          1          2   PCI-MSI 0-edge      eth1-TxRx-0')),
  ).toBe(false);
  expect(
    sameInterrupts(one, table(' 61:          1          2   PCI-MSI 0-edge      eth0-TxRx-0')),
  ).toBe(false);
  expect(sameInterrupts(one, table(''))).toBe(false);
});
