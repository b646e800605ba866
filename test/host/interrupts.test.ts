// The map from interrupts to network devices. The trees are modelled, each on a published listing
// or on a machine at hand, as its comment says.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { interruptActions, networkInterrupts, queueOf } from '../../src/host/interrupts.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Model {
  readonly interrupts: string;
  /** Network device → path of its hardware device below sys/devices. */
  readonly devices: Readonly<Record<string, string>>;
  /** Path below sys/devices → vectors in its msi_irqs. */
  readonly vectors?: Readonly<Record<string, readonly number[]>>;
}

function rootsOf(model: Model): { proc: string; sys: string } {
  const root = mkdtempSync(join(tmpdir(), 'rxscope-host-'));
  folders.push(root);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('proc/interrupts', model.interrupts);
  for (const [name, path] of Object.entries(model.devices)) {
    mkdirSync(join(root, 'sys/devices', path), { recursive: true });
    mkdirSync(join(root, 'sys/class/net', name), { recursive: true });
    symlinkSync(join(root, 'sys/devices', path), join(root, 'sys/class/net', name, 'device'));
  }
  for (const [path, vectors] of Object.entries(model.vectors ?? {})) {
    for (const irq of vectors) write(`sys/devices/${path}/msi_irqs/${irq}`, 'msix\n');
  }
  mkdirSync(join(root, 'sys/class/net/lo'), { recursive: true });
  return { proc: join(root, 'proc'), sys: join(root, 'sys') };
}

describe('networkInterrupts', () => {
  test('a virtio device owns the vectors of the PCI device that it sits on', () => {
    // As on a KVM guest with Linux 6.18.
    const roots = rootsOf({
      interrupts: [
        '           CPU0       CPU1       ',
        ' 36:          0       5662 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0',
        ' 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config',
        ' 38:          0        181 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0',
        ' 39:        114          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0',
        'NMI:          0          0   Non-maskable interrupts',
      ].join('\n'),
      devices: { eth0: 'pci0000:00/0000:00:03.0/virtio2' },
      vectors: { 'pci0000:00/0000:00:03.0': [37, 38, 39], 'pci0000:00/0000:00:02.0': [36] },
    });
    expect(networkInterrupts(roots)).toEqual(
      new Map([
        [37, { device: 'eth0' }],
        [38, { device: 'eth0', queue: 0 }],
        [39, { device: 'eth0' }],
      ]),
    );
  });

  test('names decide where sysfs lists no vectors', () => {
    // Modelled on published listings of igb (eth0-TxRx-0), a legacy line, mlx5 and virtio.
    const roots = rootsOf({
      interrupts: [
        '            CPU0       CPU1       CPU2',
        '  16:          1          0          0  IO-APIC   16-fasteoi   ehci_hcd:usb1, eth1',
        '  40:          9          0          0  IR-PCI-MSI 524288-edge      eth0-TxRx-0',
        '  41:          0          9          0  IR-PCI-MSI 524289-edge      eth0-TxRx-1',
        '  42:          0          9          0  IR-PCI-MSI 524290-edge      eth10-TxRx-1',
        '  50:          0          0          7  PCI-MSI 1048576-edge      mlx5_comp7@pci:0000:3b:00.0',
        '  60:          0          0          7  PCI-MSI 65536-edge      nvme0q1',
      ].join('\n'),
      devices: {
        eth0: 'pci0000:00/0000:00:1f.6',
        eth1: 'pci0000:00/0000:00:1c.0',
        eth10: 'pci0000:00/0000:00:1d.0',
        ens3f0: 'pci0000:3a/0000:3b:00.0',
      },
    });
    expect(networkInterrupts(roots)).toEqual(
      new Map([
        [16, { device: 'eth1' }],
        [40, { device: 'eth0', queue: 0 }],
        [41, { device: 'eth0', queue: 1 }],
        [42, { device: 'eth10', queue: 1 }],
        [50, { device: 'ens3f0', queue: 7 }],
      ]),
    );
  });

  test('on this machine every owner is a device that exists', () => {
    const devices = readdirSync('/sys/class/net');
    for (const { device } of networkInterrupts().values()) expect(devices).toContain(device);
  });
});

test.each([
  ['eth0-TxRx-3', 3],
  ['ens5-Tx-Rx-1', 1],
  ['eth0-rx-12', 12],
  ['virtio2-input.0', 0],
  ['mlx5_comp7@pci:0000:3b:00.0', 7],
  ['iwlwifi:queue_2', 2],
  ['virtio2-config', undefined],
  ['eth0', undefined],
])('queueOf reads the queue of %s as %s', (action, queue) => {
  expect(queueOf(action)).toBe(queue);
});

test('interruptActions skips one count for each CPU and lines without a number', () => {
  const text =
    '   CPU0  CPU1\n 24:  1  0  IO-APIC   5-edge      ACPI:Ged\nLOC: 4492 4246 Local timer\n';
  expect(interruptActions(text)).toEqual(new Map([[24, 'IO-APIC 5-edge ACPI:Ged']]));
});
