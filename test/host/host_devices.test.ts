// Devices and interrupts while devices come, go and are renamed, and while sysfs tells of other ones than
// netlink does. The trees are sysfs, the lists of links netlink.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HostDevices } from '../../src/host/host_devices.ts';
import type { Link } from '../../src/host/links.ts';
import { HostNames } from '../../src/readings/names.ts';
import { type Tree, withTree } from './machines.ts';

const VECTOR = { eth0: 60, eth1: 61 } as const;
const PCI = 'pci0000:00/0000:00';

function addCard(tree: Tree, folder: string, card: keyof typeof VECTOR, ifindex: number): void {
  const hardware = `sys/devices/${PCI}:0${ifindex}.0`;
  mkdirSync(join(folder, hardware), { recursive: true });
  tree.write({
    [`${hardware}/msi_irqs/${VECTOR[card]}`]: 'msix\n',
    [`sys/class/net/${card}/ifindex`]: `${ifindex}\n`,
    [`sys/class/net/${card}/flags`]: '0x1003\n',
    [`sys/class/net/${card}/address`]: `02:00:00:00:00:0${ifindex}\n`,
  });
  tree.link({ [`sys/class/net/${card}/device`]: join(folder, hardware) });
}

function writeTable(tree: Tree, lines: readonly string[]): void {
  const text = ['           CPU0       CPU1       ', ...lines, ''].join('\n');
  tree.write({ 'proc/interrupts': text });
}

const ETH0 = ' 60:          1          2   PCI-MSI 0-edge      eth0-TxRx-0';
const ETH1 = ' 61:          1          2   PCI-MSI 1-edge      eth1-TxRx-0';

function link(name: string, ifindex: number, more: Partial<Link> = {}): Link {
  const address = `02:00:00:00:00:0${ifindex}`;
  return { name, ifindex, address, up: true, loopback: false, ...more } as Link;
}

/** The host's devices, whose netlink can be changed, and the names that follow from them. */
function hostOf({ roots }: Tree) {
  const host = { links: [] as Link[], refused: false };
  const devices = new HostDevices({
    roots,
    links: () => {
      if (host.refused) throw new Error('netlink');
      return host.links;
    },
  });
  const names = new HostNames();
  return Object.assign(host, {
    devices,
    names,
    read: (): string[] => {
      const failed: string[] = [];
      const steps = [
        () => devices.readLinks(),
        () => devices.checkSysfs(),
        () => devices.readInterrupts(),
      ];
      for (const step of steps) {
        try {
          step();
        } catch (error) {
          failed.push((error as Error).message);
        }
      }
      names.use(devices.devices, devices.owners);
      return failed;
    },
  });
}

test('a card that comes later has its name at the next reading, and loses it when it goes', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, [ETH0, ETH1]);
    const host = hostOf(tree);
    const { names } = host;
    host.links = [link('eth0', 2)];
    expect(host.read()).toEqual([]);
    expect([
      names.deviceLabel(2),
      names.irqLabel(60),
      names.deviceLabel(3),
      names.irqLabel(61),
    ]).toEqual(['eth0', 'eth0', undefined, '']);
    addCard(tree, folder, 'eth1', 3);
    host.links = [link('eth0', 2), link('eth1', 3)];
    expect(host.read()).toEqual([]);
    expect([names.deviceLabel(3), names.irqLabel(61), names.gone([2, 3]).size]).toEqual([
      'eth1',
      'eth1',
      0,
    ]);
    tree.remove('sys/class/net/eth0');
    host.links = [link('eth1', 3)];
    expect(host.read()).toEqual([]);
    expect(names.gone([2, 3, 'other_netns'])).toEqual(new Set([2]));
    expect([names.deviceLabel(2), names.irqLabel(60), names.irqLabel(61)]).toEqual([
      undefined,
      '',
      'eth1',
    ]);
  });
});

test('a renamed card has its new name for its packets and its interrupts', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, [ETH0]);
    const host = hostOf(tree);
    host.links = [link('eth0', 2)];
    host.read();
    tree.rename('sys/class/net/eth0', 'sys/class/net/lan0');
    host.links = [link('lan0', 2)];
    expect(host.read()).toEqual([]);
    expect([host.names.deviceLabel(2), host.names.irqLabel(60)]).toEqual(['lan0', 'lan0']);
  });
});

test('a vector that goes to another card changes its name though no device came or went', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    addCard(tree, folder, 'eth1', 3);
    writeTable(tree, [ETH0, ETH1]);
    const host = hostOf(tree);
    host.links = [link('eth0', 2), link('eth1', 3)];
    host.read();
    expect(host.names.irqLabel(61)).toBe('eth1');
    tree.remove(`sys/devices/${PCI}:03.0/msi_irqs/61`);
    tree.write({ [`sys/devices/${PCI}:02.0/msi_irqs/61`]: 'msix\n' });
    writeTable(tree, [ETH0, ETH1.replace('eth1-TxRx-0', 'eth0-TxRx-1')]);
    host.read();
    expect(host.names.irqLabel(61)).toBe('eth0');
    expect(host.devices.owners.get(61)).toEqual({ device: 'eth0', queue: 1, direction: 'rxtx' });
  });
});

describe('where sysfs is of another network namespace', () => {
  test.each([
    ['has not the device', [link('mine', 2)], 'it has no mine'],
    ['has another number', [link('eth0', 5)], 'its eth0 is another device'],
    ['has another address', [link('eth0', 2, { address: '0a:00:00:00:00:99' })], 'another device'],
  ])('because it %s, that is told, and nothing is taken from it', (_, links, why) => {
    withTree((tree, folder) => {
      addCard(tree, folder, 'eth0', 2);
      writeTable(tree, [ETH0]);
      const host = hostOf(tree);
      host.links = [link('lo', 1, { loopback: true }), ...links];
      tree.write({ 'sys/class/net/lo/ifindex': '1\n' });
      const [problem = '', ...others] = host.read();
      expect(others).toEqual([]);
      expect(problem).toContain('/sys/class/net is not of the network namespace that is measured');
      expect(problem).toContain(why);
      expect(host.names.irqLabel(60)).toBe('');
      for (const { name, ifindex } of host.links)
        expect(host.names.deviceLabel(ifindex)).toBe(name);
    });
  });

  test('a card is found by its bus, which is every namespace’s', () => {
    withTree((tree, folder) => {
      addCard(tree, folder, 'eth0', 2);
      writeTable(tree, [ETH0]);
      tree.link({ 'sys/bus/pci/devices/0000:00:02.0': join(folder, `sys/devices/${PCI}:02.0`) });
      const host = hostOf(tree);
      host.links = [link('moved', 7, { parentBus: 'pci', parentDevice: '0000:00:02.0' })];
      expect(host.read()).toHaveLength(1);
      expect(host.names.irqLabel(60)).toBe('moved');
    });
  });

  test('its names are hidden, devices are not gone', () => {
    withTree((tree) => {
      writeTable(tree, []);
      const host = hostOf(tree);
      host.links = [link('eth0', 2)];
      tree.remove('sys/class/net');
      expect(host.read()[0]).toMatch(/it cannot be read/);
      expect([host.names.deviceLabel(2), host.names.gone([2]).size]).toEqual(['eth0', 0]);
    });
  });
});

test('a device that comes and one that goes between the two readings are no contradiction', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth1', 3);
    writeTable(tree, [ETH1]);
    const host = hostOf(tree);
    let dumps = 0;
    const { roots } = tree;
    const devices = new HostDevices({
      roots,
      // The first dump was made before eth0 went and eth1 came.
      links: () => (dumps++ === 0 ? [link('eth0', 2)] : [link('eth1', 3)]),
    });
    devices.readLinks();
    expect(() => devices.checkSysfs()).not.toThrow();
    expect(host.read()).toHaveLength(0);
  });
});

describe('without netlink', () => {
  const HEAD = 'Inter-|   Receive\n face |bytes\n';

  test('sysfs has the names if /proc has the same, and devices are not gone otherwise', () => {
    withTree((tree, folder) => {
      addCard(tree, folder, 'eth0', 2);
      writeTable(tree, [ETH0]);
      tree.write({ 'proc/net/dev': `${HEAD}  eth0:       0 0\n` });
      const host = hostOf(tree);
      host.refused = true;
      expect(host.read()).toEqual(['netlink']);
      expect([host.names.deviceLabel(2), host.names.irqLabel(60), host.devices.fresh]).toEqual([
        'eth0',
        'eth0',
        true,
      ]);
      tree.write({ 'proc/net/dev': `${HEAD}  eth7:       0 0\n` });
      expect(host.read()).toEqual(['netlink']);
      expect(host.devices.fresh).toBe(false);
    });
  });

  test('and without sysfs, devices are told by their numbers', () => {
    withTree((tree) => {
      writeTable(tree, []);
      tree.remove('sys/class/net');
      const host = hostOf(tree);
      host.refused = true;
      host.read();
      expect([host.names.deviceLabel(7), host.devices.fresh]).toEqual(['ifindex 7', false]);
    });
  });
});

test('before kernel 5.13 a link of a kind that hardware can have is asked for in sysfs', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, [ETH0]);
    const host = hostOf(tree);
    host.links = [link('eth0', 2, { kind: 'can' }), link('veth0', 3, { kind: 'veth' })];
    tree.write({ 'sys/class/net/veth0/ifindex': '3\n' });
    host.read();
    expect(host.devices.links.map(({ parentDevice }) => parentDevice)).toEqual([
      '0000:00:02.0',
      undefined,
    ]);
    expect(host.names.irqLabel(60)).toBe('eth0');
  });
});
