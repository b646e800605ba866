// Signals at any time: what ends a command, what it does not mind, and what never opens.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { AgentProcess, logLine, RXSCOPE, Rxscope, startAgent } from './agent_process.ts';
import { ENABLED } from './catalogue.ts';
import { heldBpf, readsEvents, stillThere } from './held_bpf.ts';
import { listeningPorts } from './listeners.ts';
import { scratch } from './scratch.ts';
import { after, TRACEFS } from './surroundings.ts';

const files = scratch();
const WITH_TRACEFS = after(TRACEFS);
const SOON = { timeout: 20_000, interval: 20 };
/** What the agent promises for its end, whenever it is asked for. */
const END_MS_MAX = 2000;
const RUN = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
/** From before Node runs anything of ours until after everything is attached. */
const AFTER_MS = Array.from({ length: 24 }, (_, n) => n * 47);

/** Node itself has no handler for this one: rxscope's first lines have run. */
const SIGUSR2 = 12n;

function heeds(pid: number, signal: bigint): boolean {
  const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return ((BigInt(`0x${caught}`) >> (signal - 1n)) & 1n) === 1n;
}

function portOf(agent: AgentProcess): number {
  return Number(new URL(agent.url).port);
}

async function expectToMeasure(agent: AgentProcess): Promise<void> {
  const ups = (await agent.numbers()).find('rxscope_probe_up');
  expect(ups.map(({ labels, value }) => [labels.probe, value])).toEqual(
    ENABLED.map((id) => [id, 1]),
  );
  expect(listeningPorts(agent.pid)).toEqual([portOf(agent)]);
}

describe('asked to end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s at any moment of its start, `run` ends in time with 0',
    async (signal) => {
      for (const delayMs of AFTER_MS) {
        const agent = new AgentProcess(RUN);
        await once(agent.child, 'spawn');
        await sleep(delayMs);
        const { code, signal: killedBy, stderr, ms } = await agent.stop(signal);
        // Before the first line of rxscope runs, the signal does what it does to any program.
        const how = killedBy === signal && stderr === '' ? 0 : code;
        expect({ delayMs, how, stderr }).toEqual({ delayMs, how: 0, stderr });
        expect(ms, `${signal} after ${delayMs} ms: ${stderr}`).toBeLessThan(END_MS_MAX);
      }
    },
    300_000,
  );

  test('twice, as npm passes on a Ctrl-C, it ends as it does by one', async () => {
    const agent = new AgentProcess(RUN);
    await logLine(agent, ({ msg }) => msg.startsWith('listening'));
    agent.child.kill('SIGINT');
    const { code, ms } = await agent.stop('SIGINT');
    expect({ code, lines: agent.logs().filter(({ msg }) => msg === 'stopping').length }).toEqual({
      code: 0,
      lines: 1,
    });
    expect(ms).toBeLessThan(END_MS_MAX);
  });

  test('while bpftrace starts, it waits for none, and leaves nothing behind', async () => {
    const agent = new AgentProcess([...RUN, '--backend', 'bpftrace'], WITH_TRACEFS);
    await logLine(agent, ({ msg }) => msg.startsWith('listening'));
    const { code, ms } = await agent.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(END_MS_MAX);
    expect(agent.logs().map(({ msg }) => msg)).not.toContain('probe is not up');
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'by %s, `record` prints what it has measured',
    async (signal) => {
      const command = new Rxscope(['record', '--duration', '3600s', '--json']);
      await vi.waitFor(() => expect(readsEvents(command.pid)).toBe(true), SOON);
      const held = heldBpf(command.pid);
      const startedMs = performance.now();
      command.child.kill(signal);
      const { code, stdout } = await command.ended;
      expect(code).toBe(0);
      expect(performance.now() - startedMs).toBeLessThan(END_MS_MAX);
      expect(JSON.parse(stdout)).toMatchObject({ seconds: expect.any(Number) });
      await vi.waitFor(() => expect(stillThere(held)).toEqual([]), SOON);
    },
  );

  test.each([
    ['record', '--duration', '3600s'],
    ['probes', '--try', 'bpftrace'],
    ['trace', 'packet_latency', '--duration', '3600s'],
  ])(
    '`%s %s …` ends in time from its first line on',
    async (...args) => {
      for (const delayMs of [0, 150, 300, 600, 900, 1500]) {
        const command = new Rxscope(args, WITH_TRACEFS);
        await once(command.child, 'spawn');
        await sleep(delayMs);
        const startedMs = performance.now();
        command.child.kill('SIGTERM');
        const { stderr } = await command.ended;
        expect(performance.now() - startedMs, `${delayMs}: ${stderr}`).toBeLessThan(END_MS_MAX);
      }
    },
    60_000,
  );
});

describe('a signal that means nothing here', () => {
  const HARMLESS = [
    ...['SIGUSR1', 'SIGUSR2', 'SIGIO', 'SIGPIPE', 'SIGWINCH', 'SIGCONT', 'SIGURG', 'SIGCHLD'],
    'SIGHUP',
  ] as NodeJS.Signals[];

  test('leaves the agent measuring, and opens nothing', async () => {
    const agent = await startAgent();
    for (const signal of HARMLESS) {
      agent.child.kill(signal);
      // An answer shows that it goes on, and that the loop has heard the signal.
      await agent.scrape();
      await expectToMeasure(agent);
    }
    await logLine(agent, ({ signal }) => signal === 'SIGUSR1');
    expect((await agent.stop()).code).toBe(0);
  });

  test('is none while the agent starts, either', async () => {
    for (const delayMs of [60, 120, 250, 400, 700]) {
      const agent = new AgentProcess(RUN);
      await once(agent.child, 'spawn');
      await sleep(delayMs);
      agent.child.kill('SIGUSR1');
      const line = await Promise.race([
        logLine(agent, ({ metrics }) => metrics !== undefined),
        agent.ended,
      ]);
      // Before Node itself is ready for it, the signal ends any program.
      if ('code' in line) {
        expect([line.signal, line.stderr]).toEqual(['SIGUSR1', '']);
        continue;
      }
      agent.url = String(line.metrics).replace(/\/metrics$/, '');
      await expectToMeasure(agent);
      expect((await agent.stop()).code).toBe(0);
    }
  }, 60_000);

  test.each([
    ['record', '--duration', '700ms'],
    ['probes'],
    ['trace', 'packet_latency', '--duration', '1s'],
  ])('opens nothing in `%s`, either', async (...args) => {
    const command = new Rxscope(args);
    const ports: number[] = [];
    let sent = 0;
    const timer = setInterval(() => {
      try {
        if (sent === 0 && !heeds(command.pid, SIGUSR2)) return;
        sent++;
        command.child.kill('SIGUSR1');
        ports.push(...listeningPorts(command.pid));
      } catch {
        // It has ended meanwhile.
      }
    }, 10);
    const { signal } = await command.ended;
    clearInterval(timer);
    expect({ signal, ports }).toEqual({ signal: null, ports: [] });
    expect(sent).toBeGreaterThan(0);
  });

  test('a debugger that was asked for is closed, and a sentence says so', async () => {
    const ways: readonly (readonly string[])[] = [
      [process.execPath, '--inspect=127.0.0.1:0', ...RXSCOPE.slice(1)],
      ['env', 'NODE_OPTIONS=--inspect=127.0.0.1:0', ...RXSCOPE],
    ];
    for (const command of ways) {
      const agent = await startAgent([], command);
      expect(listeningPorts(agent.pid)).toEqual([portOf(agent)]);
      expect(agent.stderr).toMatch(/^rxscope: closed Node's debugger \(ws:\/\/127\.0\.0\.1:\d+/m);
      await agent.stop();
    }
  });
});

describe('while programs are loaded', () => {
  test('a profiler that interrupts each half millisecond costs no probe', async () => {
    const profiler = ['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', files.folder];
    const agent = await startAgent(
      ['--backend', 'libbpf'],
      [process.execPath, ...profiler, ...RXSCOPE.slice(1)],
    );
    await expectToMeasure(agent);
    expect(agent.logs().filter(({ level }) => level >= 40)).toEqual([]);
    await agent.stop();
  });

  test.each(['SIGHUP', 'SIGCHLD', 'SIGUSR1', 'SIGWINCH'] as const)(
    'a storm of %s costs no probe',
    async (signal) => {
      const agent = new AgentProcess([...RUN, '--backend', 'libbpf']);
      await logLine(agent, ({ msg }) => msg.startsWith('listening'));
      const storm = setInterval(() => agent.child.kill(signal), 1);
      const line = await logLine(agent, ({ metrics }) => metrics !== undefined);
      clearInterval(storm);
      agent.url = String(line.metrics).replace(/\/metrics$/, '');
      await expectToMeasure(agent);
      await agent.stop();
    },
  );
});
