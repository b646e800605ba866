// The agent's log where nobody takes it: the disk is full, the reader gone or asleep, the terminal
// closed. It goes on measuring, and counts the lines that it loses.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { parseText } from '../metrics/decode.ts';
import { AgentProcess, logLine, RXSCOPE, startAgent } from './agent_process.ts';
import { freePort } from './free_port.ts';
import { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';

const files = scratch();
const SOON = { timeout: 20_000, interval: 50 };
const END_MS_MAX = 2000;

/** An agent whose log goes where a shell's redirection says, so that only its port tells of it. */
async function agentWith(redirection: string, args: readonly string[] = []) {
  const url = `http://127.0.0.1:${await freePort()}`;
  const agent = new AgentProcess(
    ['run', '--web.listen-address', new URL(url).host, '--log.format', 'json', ...args],
    ['sh', '-c', `exec "$@" ${redirection}`, 'sh', ...RXSCOPE],
  );
  agent.url = url;
  await vi.waitFor(async () => expect((await fetch(`${url}/-/ready`)).status).toBe(200), SOON);
  return agent;
}

async function lost(agent: AgentProcess): Promise<number> {
  return (await agent.numbers()).total('rxscope_log_lines_lost_total');
}

async function expectToEnd(agent: AgentProcess): Promise<void> {
  const { code, ms } = await agent.stop();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(END_MS_MAX);
}

test('a full disk: it measures, counts the lines, and ends as ever', async () => {
  const agent = await agentWith('2>/dev/full');
  const before = await lost(agent);
  expect(before).toBeGreaterThan(0);
  agent.child.kill('SIGHUP');
  await vi.waitFor(async () => expect(await lost(agent)).toBeGreaterThan(before), SOON);
  await expectToEnd(agent);
});

test('a reader that has gone: it goes on', async () => {
  const agent = await startAgent();
  expect(await lost(agent)).toBe(0);
  agent.child.stderr?.destroy();
  agent.child.kill('SIGHUP');
  await vi.waitFor(async () => expect(await lost(agent)).toBeGreaterThan(0), SOON);
  await expectToEnd(agent);
});

test('a reader that does not read: nothing waits for it, little is kept, the rest is counted', async () => {
  const pipe = join(files.folder, 'asleep');
  await execa('mkfifo', [pipe]);
  // Open for both, so that it is there and the agent has a reader.
  const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  const agent = await agentWith(`2>${pipe}`, ['--log.level', 'debug']);
  const long = `${agent.url}/${'x'.repeat(4000)}`;
  await vi.waitFor(async () => {
    for (let n = 0; n < 50; n++) await (await fetch(long)).text();
    expect(await lost(agent)).toBeGreaterThan(0);
  }, SOON);
  // It reads again: what waited arrives, and then the sentence that tells of the rest.
  const chunk = Buffer.alloc(1 << 16);
  let text = '';
  await vi.waitFor(
    () => {
      text += chunk.toString('utf8', 0, readSync(reader, chunk));
      expect(text).toMatch(
        /"lines":\d+,"reason":"its reader does not read","msg":"lines of the log were lost"/,
      );
    },
    { ...SOON, interval: 1 },
  );
  for (let n = 0; n < 400; n++) await (await fetch(long)).text();
  await expectToEnd(agent);
}, 60_000);

test('a terminal that is closed: it goes on', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const words = [...RXSCOPE, 'run', '--web.listen-address', new URL(url).host];
  const terminal = spawn('script', ['-qfc', `exec ${words.join(' ')}`, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void terminal.kill('SIGKILL'));
  await vi.waitFor(async () => expect((await fetch(`${url}/-/ready`)).status).toBe(200), SOON);
  const path = `/proc/${terminal.pid}/task/${terminal.pid}/children`;
  const pid = Number(readFileSync(path, 'utf8').trim().split(' ')[0]);
  onTestFinished(() => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  });
  terminal.kill('SIGKILL');
  await once(terminal, 'close');
  // The terminal's end is told by a SIGHUP, which reloads; so does ours.
  process.kill(pid, 'SIGHUP');
  const counted = async (): Promise<number> => {
    const body = new Uint8Array(await (await fetch(`${url}/metrics`)).arrayBuffer());
    return new Numbers(parseText(body, 'text').series).total('rxscope_log_lines_lost_total');
  };
  await vi.waitFor(async () => expect(await counted()).toBeGreaterThan(0), SOON);
  process.kill(pid, 'SIGTERM');
  // Its parent was the terminal, so that what is left of it need not go.
  await vi.waitFor(() => expect(fetch(url)).rejects.toThrow(), SOON);
});

test('the last lines reach a reader that reads', async () => {
  const agent = await startAgent();
  await agent.stop();
  await expect(logLine(agent, ({ msg }) => msg === 'stopping')).resolves.toBeDefined();
});
