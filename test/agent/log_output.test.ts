// Standard error as it may be: full, slow, gone, and well again. What takes the bytes is the test's own.

import { expect, test, vi } from 'vitest';
import { createLog } from '../../src/agent/log.ts';
import { LogOutput } from '../../src/agent/log_output.ts';
import { effectiveConfig } from '../../src/config/load.ts';

/** A device that takes some bytes at a time, or says why not. */
class Device {
  text = '';
  refuses: string | undefined;
  takes = Number.POSITIVE_INFINITY;

  readonly put = (bytes: Uint8Array): number => {
    if (this.refuses !== undefined) throw Object.assign(new Error('no'), { code: this.refuses });
    const taken = Math.min(this.takes, bytes.length);
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  };
}

test.each(['ENOSPC', 'EPIPE', 'EIO', 'EDQUOT', 'EFBIG', 'EBADF'])(
  '%s: lines are lost and counted, and the first that goes through again is followed by how many',
  (code) => {
    const device = new Device();
    const output = new LogOutput(device.put, false);
    const log = createLog(effectiveConfig().log, output);
    output.onRecovered = (lines, reason) => log.warn({ lines, reason }, 'lost');
    log.info('one');
    device.refuses = code;
    for (let line = 0; line < 7; line++) log.info('two');
    expect(output.lost).toBe(7);
    device.refuses = undefined;
    log.info('three');
    log.info('four');
    const lines = device.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ msg }) => msg)).toEqual(['one', 'three', 'lost', 'four']);
    expect(lines[2]).toMatchObject({ lines: 7, reason: code });
    expect(output.lost).toBe(7);
  },
);

test('a device that takes a few bytes at a time gets every byte', () => {
  const device = new Device();
  device.takes = 3;
  const output = new LogOutput(device.put, false);
  output.write('a line of some length\n');
  output.write('and another\n');
  expect(device.text).toBe('a line of some length\nand another\n');
});

test('a line that breaks off is one line, and the next begins on its own', () => {
  const device = new Device();
  const output = new LogOutput((bytes) => {
    if (device.text.endsWith('broken')) device.refuses = 'ENOSPC';
    return device.put(bytes);
  }, false);
  device.takes = 6;
  output.write('broken off\n');
  expect(output.lost).toBe(1);
  output.write('lost\n');
  device.text += '.';
  device.refuses = undefined;
  output.write('whole\n');
  expect(device.text).toBe('broken.\nwhole\n');
});

test('what a reader does not read waits, up to 256 KiB; what is beyond is lost and counted', async () => {
  const device = new Device();
  device.refuses = 'EAGAIN';
  const output = new LogOutput(device.put, false);
  const line = `${'x'.repeat(1023)}\n`;
  for (let n = 0; n < 1000; n++) output.write(line);
  expect(output.lost).toBe(1000 - 256);
  await output.flushed(1);
  expect(device.text).toBe('');
  const told = vi.fn();
  output.onRecovered = told;
  device.refuses = undefined;
  await output.flushed(10_000);
  expect(device.text).toBe(line.repeat(256));
  expect(told.mock.calls).toEqual([[744, 'its reader does not read']]);
});
