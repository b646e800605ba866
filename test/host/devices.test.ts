// The list of network devices, from a modelled tree and from this machine.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listDevices } from '../../src/host/devices.ts';

test('devices come sorted by ifindex, with their administrative state', () => {
  const sys = mkdtempSync(join(tmpdir(), 'rxscope-devices-'));
  try {
    const device = (name: string, files: Record<string, string>): void => {
      mkdirSync(join(sys, 'class/net', name), { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        writeFileSync(join(sys, 'class/net', name, file), text);
      }
    };
    device('eth0', { ifindex: '7\n', flags: '0x1003\n' });
    device('lo', { ifindex: '1\n', flags: '0x9\n' });
    device('ifb0', { ifindex: '5\n', flags: '0x82\n' });
    // A device that vanished while it was being read, and a file that is no device.
    device('gone0', {});
    writeFileSync(join(sys, 'class/net/bonding_masters'), 'bond0\n');
    expect(listDevices(sys)).toEqual([
      { name: 'lo', ifindex: 1, up: true },
      { name: 'ifb0', ifindex: 5, up: false },
      { name: 'eth0', ifindex: 7, up: true },
    ]);
  } finally {
    rmSync(sys, { recursive: true, force: true });
  }
});

test('this machine has a loopback device', () => {
  expect(listDevices().map(({ name }) => name)).toContain('lo');
});

test('without sysfs it throws, so that the collector can say so', () => {
  expect(() => listDevices('/nonexistent')).toThrow(/ENOENT/);
});
