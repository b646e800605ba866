// What the agent tells the manager that started it, and when: message by message, without a manager.
// A real systemd is in test/deploy/systemd.test.ts.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../src/agent/log.ts';
import { ServiceManager } from '../../src/agent/service_manager.ts';
import { effectiveConfig } from '../../src/config/load.ts';

const SOCKET = '/run/systemd/notify';
const log = createLog({ ...effectiveConfig().log, level: 'fatal' }, process.stderr);
const warn = vi.spyOn(log, 'warn');

beforeEach(() => {
  vi.useFakeTimers();
  warn.mockClear();
});
afterEach(() => vi.useRealTimers());

function started(env: NodeJS.ProcessEnv) {
  const told: string[] = [];
  const manager = new ServiceManager(log, env, (socket, message) => {
    expect(socket).toBe(SOCKET);
    told.push(message);
  });
  return { manager, told };
}

test('without a manager it says nothing and keeps no timer', () => {
  const { manager, told } = started({ WATCHDOG_USEC: '1000000' });
  manager.ready('fine');
  let reloads = 0;
  manager.reload(() => reloads++);
  expect(vi.getTimerCount()).toBe(0);
  manager.stopping();
  expect({ told, reloads }).toEqual({ told: [], reloads: 1 });
});

test('ready, reload and stop are told in order; the watchdog only where it is asked for', () => {
  const { manager, told } = started({ NOTIFY_SOCKET: SOCKET });
  manager.ready('6 of 6 probes are up');
  expect(vi.getTimerCount()).toBe(0);
  manager.reload(() => told.push('(reads the configuration)'));
  manager.stopping();
  manager.stopping();
  expect(told.map((one) => one.replace(/USEC=\d+/, 'USEC=…'))).toEqual([
    'READY=1\nSTATUS=6 of 6 probes are up',
    'RELOADING=1\nMONOTONIC_USEC=…',
    '(reads the configuration)',
    'READY=1',
    'STOPPING=1\nSTATUS=stopping',
  ]);
});

test('a reload before it is ready does not make it ready', () => {
  const { manager, told } = started({ NOTIFY_SOCKET: SOCKET });
  manager.reload(() => told.push('(reads the configuration)'));
  expect(told).toEqual(['(reads the configuration)']);
});

test('signs of life come twice in the time that the watchdog allows, until the stop', () => {
  const env = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '30000000', WATCHDOG_PID: `${process.pid}` };
  const { manager, told } = started(env);
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([]);
  manager.ready('fine');
  vi.advanceTimersByTime(90_000);
  expect(told.slice(1)).toEqual(Array.from({ length: 6 }, () => 'WATCHDOG=1'));
  manager.stopping();
  vi.advanceTimersByTime(90_000);
  expect(told.at(-1)).toBe('STOPPING=1\nSTATUS=stopping');
});

test.each([
  ['another process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }],
  ['nobody: no time', { WATCHDOG_USEC: '0' }],
  ['nobody: no number', { WATCHDOG_USEC: 'soon' }],
])('a watchdog that is for %s is left alone', (_, env) => {
  const { manager } = started({ NOTIFY_SOCKET: SOCKET, ...env });
  manager.ready('fine');
  expect(vi.getTimerCount()).toBe(0);
});

test('the variables are taken away, so that no script that it starts speaks for it', () => {
  const env = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '1', WATCHDOG_PID: '1', PATH: '/bin' };
  started(env);
  expect(env).toEqual({ PATH: '/bin' });
});

test('a manager that cannot be reached is told of once, and nothing fails', () => {
  const manager = new ServiceManager(log, { NOTIFY_SOCKET: SOCKET }, () => {
    throw new Error('ECONNREFUSED');
  });
  manager.ready('fine');
  manager.reload(() => {});
  manager.stopping();
  expect(warn).toHaveBeenCalledTimes(1);
});
