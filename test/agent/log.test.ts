// The agent's log: JSON lines for machines, one readable line for people.

import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../src/agent/log.ts';
import { effectiveConfig } from '../../src/config/load.ts';

type Settings = ReturnType<typeof effectiveConfig>['log'];

class Destination extends Writable {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

function logTo(isTTY: boolean, settings: Partial<Settings> = {}) {
  const destination = new Destination(isTTY);
  return { log: createLog({ ...effectiveConfig().log, ...settings }, destination), destination };
}

describe('JSON', () => {
  test('is one object a line with level, RFC 3339 time, fields and message', () => {
    const { log, destination } = logTo(false);
    log.warn({ probe: 'irq_to_softirq', reason: 'two\nlines' }, 'probe is up');
    log.info('second');
    const lines = destination.text.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe('');
    const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, string>;
    expect(rest).toEqual({
      level: 40,
      probe: 'irq_to_softirq',
      reason: 'two\nlines',
      msg: 'probe is up',
    });
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('is chosen for a terminal too when the configuration says so', () => {
    const { log, destination } = logTo(true, { format: 'json' });
    log.info('hello');
    expect(JSON.parse(destination.text)).toMatchObject({ msg: 'hello' });
  });

  test('has an error with its message and stack', () => {
    const { log, destination } = logTo(false);
    log.error({ err: new TypeError('no such thing') }, 'collector failed');
    expect(JSON.parse(destination.text)).toMatchObject({
      err: { type: 'TypeError', message: 'no such thing', stack: expect.stringContaining('at ') },
    });
  });
});

describe('pretty', () => {
  test('has no byte of others that controls the terminal', () => {
    const { log, destination } = logTo(true, { format: 'pretty' });
    log.warn({ reason: '\x1b[2J\x07 two\nlines', devices: ['\x1b'] }, 'told');
    const text = stripVTControlCharacters(destination.text);
    expect(text).toContain("reason=\\x1b[2J\\x07 two\\x0alines devices=[ '\\x1B' ]");
    expect(text.split('\n')).toHaveLength(2);
  });

  test('is time, level, message and fields in one line', () => {
    const { log, destination } = logTo(false, { format: 'pretty' });
    log.error({ probe: 'irq_to_softirq', reason: 'EPERM: no' }, 'probe is not up');
    log.info({ settings: ['web', 'backend'] }, 'restart');
    const [first, second, end] = destination.text.split('\n');
    expect(first).toMatch(
      /^\d\d:\d\d:\d\d error probe is not up probe=irq_to_softirq reason=EPERM: no$/,
    );
    expect(second).toMatch(/^\d\d:\d\d:\d\d info restart settings=\[ 'web', 'backend' \]$/);
    expect(end).toBe('');
  });

  test.each(['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)(
    'names the level %s',
    (level) => {
      const { log, destination } = logTo(false, { format: 'pretty', level: 'trace' });
      log[level]('hello');
      expect(destination.text).toMatch(new RegExp(`^[\\d:]{8} ${level} hello\n$`));
    },
  );

  test('is what a terminal gets unless told otherwise', () => {
    const { log, destination } = logTo(true);
    log.info('hello');
    expect(stripVTControlCharacters(destination.text)).toMatch(/^\d\d:\d\d:\d\d info hello\n$/);
  });
});

test('writes nothing below the level, which can change later', () => {
  const { log, destination } = logTo(false, { level: 'warn' });
  log.info('not yet');
  expect(destination.text).toBe('');
  log.level = 'debug';
  log.debug('now');
  expect(JSON.parse(destination.text)).toMatchObject({ level: 20, msg: 'now' });
});
