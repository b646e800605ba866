// What src/host/ethtool.ts does where a driver changes under it, refuses, or has very much to tell:
// a modelled driver. Real devices are in test/native/ethtool.test.ts.

import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { deviceSettings, driverInfo, EthtoolError } from '../../src/host/ethtool.ts';
import { driverStatistics } from './driver_statistics.ts';
import { GSTATS, GSTRINGS, type ModelledDriver, modelledDriver } from './modelled_driver.ts';

const { EAGAIN, EFAULT, EIO, ENODEV, EPERM } = constants.errno;

function errorOf(call: () => unknown): EthtoolError {
  try {
    call();
  } catch (error) {
    if (error instanceof EthtoolError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('statistics', () => {
  test('of 20011 names are all told', () => {
    // As many as mlx5 devices with a hundred channels have.
    const names = Array.from({ length: 20_011 }, (_, n) => `rx${n}_packets`);
    const statistics = driverStatistics(modelledDriver({ names }), 'eth0');
    expect(statistics?.size).toBe(20_011);
    expect(statistics?.get('rx20010_packets')).toBe(20_011);
  });

  test('with a name of 32 bytes, which has no NUL, keep it whole', () => {
    const name = 'a'.repeat(32);
    const statistics = driverStatistics(modelledDriver({ names: [name, 'b'] }), 'eth0');
    expect([...(statistics ?? [])]).toEqual([
      [name, 1],
      ['b', 2],
    ]);
  });

  test('that a driver repeats for each queue are summed', () => {
    const names = ['Rx Queue#', '  pkts rx OOB', 'Rx Queue#', '  pkts rx OOB'];
    const statistics = driverStatistics(modelledDriver({ names }), 'eth0');
    expect(statistics?.get('  pkts rx OOB')).toBe(2 + 4);
  });

  test.each([
    ['more', ['a', 'b', 'c', 'd']],
    ['fewer', ['a']],
  ])('that become %s between the names and the values are read again', (_, later) => {
    for (const moment of [GSTRINGS, GSTATS]) {
      const driver: ModelledDriver = { names: ['a', 'b', 'c'] };
      driver.before = (command) => {
        if (command === moment) driver.names = later;
      };
      const statistics = driverStatistics(modelledDriver(driver), 'eth0');
      expect([...(statistics?.keys() ?? [])]).toEqual(later);
    }
  });

  test('that never hold still are an error, not numbers under wrong names', () => {
    const driver: ModelledDriver = { names: ['a'] };
    driver.before = (command) => {
      if (command === GSTATS) driver.names = [...driver.names, 'b'];
    };
    expect(errorOf(() => driverStatistics(modelledDriver(driver), 'eth0'))).toMatchObject({
      device: 'eth0',
      command: 'ETHTOOL_GSTATS',
      errno: EAGAIN,
    });
  });

  test('are not asked for where a driver has none, which the kernel would complain of', () => {
    const asked: number[] = [];
    const driver: ModelledDriver = { names: [], before: (command) => asked.push(command) };
    expect(driverStatistics(modelledDriver(driver), 'eth0')).toBeUndefined();
    expect(asked).not.toContain(GSTRINGS);
    expect(asked).not.toContain(GSTATS);
  });

  test('of more names than the addon takes are an error', () => {
    const driver: ModelledDriver = { names: { length: 131_073 } as readonly string[] };
    expect(errorOf(() => driverStatistics(modelledDriver(driver), 'eth0')).errno).toBe(EFAULT);
  });
});

describe('a refusal', () => {
  test('tells device, command and errno', () => {
    const refused = new Map([[GSTATS, EIO]]);
    const error = errorOf(() =>
      driverStatistics(modelledDriver({ names: ['a'], refused }), 'eth7'),
    );
    expect(error.message).toBe(`cannot ask eth7 by ETHTOOL_GSTATS: errno ${EIO}`);
  });

  test('of one setting leaves the others, and is told', () => {
    const refused = new Map([
      [0x03, EPERM],
      [0x10, ENODEV],
    ]);
    const { problems, ...settings } = deviceSettings(
      modelledDriver({ names: [], refused }),
      'eth0',
    );
    expect(settings).toEqual({});
    expect(problems.map(({ command, errno }) => [command, errno])).toEqual([
      ['ETHTOOL_GDRVINFO', EPERM],
    ]);
  });

  test('because the device went away is no error', () => {
    expect(driverInfo(() => ENODEV, 'eth0')).toBeUndefined();
    expect(driverStatistics(() => ENODEV, 'eth0')).toBeUndefined();
    expect(deviceSettings(() => ENODEV, 'eth0')).toEqual({ problems: [] });
  });

  test('that is an error of the program is not swallowed', () => {
    expect(() =>
      deviceSettings(() => {
        throw new TypeError('broken');
      }, 'eth0'),
    ).toThrow('broken');
  });
});
