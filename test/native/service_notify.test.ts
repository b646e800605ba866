// Messages to a service manager by the addon, on real sockets, and what it says of those that cannot be.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { failureOf } from './fixture.ts';

const addon = loadAddon();
const folder = mkdtempSync(join(tmpdir(), 'rxscope-notify-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true });
});

/** Node has no datagram sockets of this kind. Each line is one datagram, as JSON. */
const RECEIVER = `
import json, socket, sys
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`;

/** Resolves when the socket is there, to a function that waits for the next datagram. */
async function receiver(name: string): Promise<() => Promise<string>> {
  const child = spawn('python3', ['-c', RECEIVER, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('bound');
  return async () => JSON.parse((await lines.next()).value) as string;
}

test.each([
  ['a path', join(folder, 'socket')],
  ['the longest path', `${folder}/${'x'.repeat(106 - folder.length)}`],
  ['an abstract name', `@rxscope-test-${process.pid}`],
])('%s gets each message whole, as one datagram', async (_, path) => {
  const next = await receiver(path);
  for (const message of ['READY=1\nSTATUS=6 of 6 probes – well', 'WATCHDOG=1', '']) {
    addon.notifyService(path, message);
    expect(await next()).toBe(message);
  }
});

test('a socket that nobody has bound is told by its errno', () => {
  const absent = failureOf(() => addon.notifyService(join(folder, 'absent'), 'READY=1'));
  expect(absent).toMatchObject({ code: 'ENOENT', operation: 'notify' });
  writeFileSync(join(folder, 'file'), '');
  const file = failureOf(() => addon.notifyService(join(folder, 'file'), 'READY=1'));
  expect(file).toMatchObject({ code: 'ECONNREFUSED', operation: 'notify' });
});

test.each([
  ['empty', ''],
  ['relative', 'run/notify'],
  ['an @ alone', '@'],
  ['a slash alone', '/'],
  ['of another family', 'vsock:2:1234'],
  ['too long', `/${'x'.repeat(107)}`],
  ['too long for an abstract one', `@${'x'.repeat(108)}`],
])('a name that is %s is refused', (_, name) => {
  const failure = failureOf(() => addon.notifyService(name, 'READY=1'));
  expect(failure).toMatchObject({ code: 'EINVAL', operation: 'notify' });
});

test('a manager that does not read never holds the agent up', async () => {
  const path = join(folder, 'stopped');
  const next = await receiver(path);
  children.at(-1)?.kill('SIGSTOP');
  const failure = failureOf(() => {
    for (let sent = 0; sent < 100_000; sent++) addon.notifyService(path, 'WATCHDOG=1');
  });
  expect(failure).toMatchObject({ code: 'EAGAIN' });
  children.at(-1)?.kill('SIGCONT');
  expect(await next()).toBe('WATCHDOG=1');
  const child = children.at(-1);
  child?.kill('SIGKILL');
  if (child !== undefined && child.exitCode === null) await once(child, 'close');
});
