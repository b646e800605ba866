// The runner and the supervisor with the bpftrace of this machine. The scripts here hook timers
// only, so they need no tracefs and no packets.

import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { childEnvironment } from '../../../src/capture/bpftrace/child_environment.ts';
import { type Bpftrace, findBpftrace, findProgram } from '../../../src/capture/bpftrace/find.ts';
import type { ScriptOutput } from '../../../src/capture/bpftrace/output.ts';
import { type RunningScript, startScript } from '../../../src/capture/bpftrace/runner.ts';
import { type ScriptState, Supervisor } from '../../../src/capture/bpftrace/supervisor.ts';

const folder = mkdtempSync(join(tmpdir(), 'rxscope-bpftrace-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** bpftrace compiles for a second; a busy machine takes many. */
const SOON = { timeout: 60_000, interval: 20 };

async function bpftrace(): Promise<Bpftrace> {
  const found = await findBpftrace();
  if ('reason' in found) throw new Error(found.reason);
  return found;
}

/** A program of that name in a folder of its own; returns the folder. */
function program(name: string, text: string): string {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, name), text);
  chmodSync(join(bin, name), 0o755);
  return bin;
}

describe('bpftrace is looked for', () => {
  test('and found along PATH, with its version', async () => {
    const { path, version } = await bpftrace();
    expect(path).toBe(findProgram('bpftrace'));
    expect(version).toMatch(/^\d+\.\d+/);
  });

  test.each([
    { title: 'not there', text: undefined, says: /not installed.*apt-get install bpftrace/ },
    {
      title: 'too old',
      text: '#!/bin/sh\necho bpftrace v0.11.3\n',
      says: /bpftrace 0\.11\.3, too old; 0\.17 or newer/,
    },
    { title: 'broken', text: '#!/bin/sh\nexit 3\n', says: /cannot be run: .*exit code 3/ },
    { title: 'no bpftrace', text: '#!/bin/sh\necho hello\n', says: /says "hello"/ },
  ])('and $title: says so', async ({ text, says }) => {
    const PATH = text === undefined ? folder : program('bpftrace', text);
    expect(await findBpftrace({ PATH })).toEqual({ reason: expect.stringMatching(says) });
  });
});

test('is told no more of our environment than it needs', () => {
  const env = {
    PATH: '/bin',
    HOME: '/root',
    NODE_OPTIONS: '--inspect',
    AWS_SECRET: 'x',
    LANG: 'de',
  };
  const { BPFTRACE_BTF: _, ...told } = childEnvironment({ ...env, BPFTRACE_MAX_STRLEN: '64' });
  expect(told).toEqual({ PATH: '/bin', HOME: '/root', BPFTRACE_MAX_STRLEN: '64', LC_ALL: 'C' });
});

async function script(source: string, args: readonly string[] = []) {
  const outputs: ScriptOutput[] = [];
  const problems: string[] = [];
  const running = startScript({
    bpftrace: await bpftrace(),
    file: '-',
    source,
    args,
    onOutput: (output) => outputs.push(output),
    onProblem: (problem) => problems.push(problem),
  });
  return { running, outputs, problems };
}

const COUNTING = 'BEGIN { printf("up\\n"); } interval:ms:10 { @n = count(); @zz_end = 1; }';

describe('a script', () => {
  test('gets its arguments and ends by itself without a reason', async () => {
    const { running, outputs } = await script('BEGIN { printf("%d %d", $1, $2); exit(); }', [
      '101',
      '103',
    ]);
    expect(await running.done).toEqual({ stderr: '' });
    expect(outputs).toContainEqual({ type: 'printf', text: '101 103' });
  });

  test('prints its maps on request, and again when it is stopped; nothing is left of it', async () => {
    const { running, outputs, problems } = await script(COUNTING);
    await vi.waitFor(() => expect(outputs.at(-1)?.type).toBe('printf'), SOON);
    const maps = () => outputs.filter(({ type }) => type === 'map').length;
    running.askForMaps();
    await vi.waitFor(() => expect(maps()).toBe(2), SOON);
    const started = performance.now();
    const { reason } = await running.stop();
    expect(performance.now() - started).toBeLessThan(2000);
    expect({ reason, problems, maps: maps() }).toEqual({
      reason: undefined,
      problems: [],
      maps: 4,
    });
    expect(existsSync(`/proc/${running.pid}`)).toBe(false);
  });

  test('that heeds no signal is killed a second later', async () => {
    const up = `echo '{"type": "printf", "data": "up"}'`;
    const deaf = program(
      'bpftrace',
      `#!/bin/sh\ntrap "" INT TERM\n${up}\nwhile :; do sleep 0.1; done\n`,
    );
    let running: RunningScript | undefined;
    await new Promise<void>((resolve) => {
      running = startScript({
        bpftrace: { path: join(deaf, 'bpftrace'), version: '0.17' },
        file: '-',
        onOutput: () => resolve(),
      });
    });
    if (running === undefined) throw new Error('not started');
    const started = performance.now();
    await running.stop();
    expect(performance.now() - started).toBeLessThan(2000);
    expect(existsSync(`/proc/${running.pid}`)).toBe(false);
  });

  test('that cannot be compiled ends with the reason, and keeps what was said', async () => {
    const { running } = await script('BEGIN { nofunc(1); }');
    const { reason, stderr } = await running.done;
    expect(reason).toMatch(/does not understand the script \(Unknown function: nofunc\)/);
    expect(stderr).toContain('BEGIN { nofunc(1); }');
  });

  test('is handed on only where it makes sense; the rest is reported and it goes on', async () => {
    const odd = program(
      'bpftrace',
      `#!/bin/sh\necho 'Attaching 3 probes...'\necho '{"type": "printf", "data": "up"}'\n`,
    );
    const outputs: ScriptOutput[] = [];
    const problems: string[] = [];
    const running = startScript({
      bpftrace: { path: join(odd, 'bpftrace'), version: '0.17' },
      file: '-',
      onOutput: (output) => outputs.push(output),
      onProblem: (problem) => problems.push(problem),
    });
    expect(await running.done).toEqual({ stderr: '' });
    expect(outputs).toEqual([{ type: 'printf', text: 'up' }]);
    expect(problems).toEqual(['not JSON: "Attaching 3 probes..."']);
  });
});

async function supervised(text: string) {
  const file = join(folder, 'supervised.bt');
  writeFileSync(file, text);
  const states: ScriptState[] = [];
  const supervisor = new Supervisor({
    bpftrace: await bpftrace(),
    file,
    text,
    args: [],
    stateMaps: [],
    onChange: (state) => states.push(state),
    onProblem: () => {},
  });
  supervisor.start();
  return { supervisor, states };
}

/** A stand-in for bpftrace, which cannot be made to fail for a moment. */
function refusedTimes(times: number, complaint: string) {
  const bin = program(
    'bpftrace',
    [
      '#!/bin/bash',
      'tries=$(dirname "$0")/tries',
      'echo >> "$tries"',
      `[ $(wc -l < "$tries") -gt ${times} ] || { echo "${complaint}" >&2; exit 255; }`,
      `echo '{"type": "printf", "data": "up"}'`,
      'exec sleep 600',
    ].join('\n'),
  );
  const states: ScriptState[] = [];
  const supervisor = new Supervisor({
    bpftrace: { path: join(bin, 'bpftrace'), version: '0.17.0' },
    file: join(bin, 'script.bt'),
    text: '',
    args: [],
    stateMaps: [],
    onChange: (state) => states.push(state),
    onProblem: () => {},
  });
  supervisor.start();
  return { supervisor, states };
}

async function count(supervisor: Supervisor): Promise<number> {
  const { tally, fresh } = await supervisor.read();
  expect(fresh).toBe(true);
  return tally.counters.get('@n')?.get('') ?? 0;
}

describe('a supervised script', () => {
  test('that is killed starts again, and its counts never run backwards', async () => {
    const { supervisor, states } = await supervised(COUNTING);
    await supervisor.settled;
    let before = 0;
    await vi.waitFor(async () => {
      before = await count(supervisor);
      expect(before).toBeGreaterThan(5);
    }, SOON);
    const pid = supervisor.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(states.at(-1)?.phase).toBe('restarting'), SOON);
    expect(states.at(-1)).toMatchObject({
      reason: expect.stringMatching(/ended by SIGKILL; restart 1 of 5 in 1 s/),
    });
    expect(await count(supervisor)).toBe(before);
    await vi.waitFor(() => expect(states.at(-1)?.phase).toBe('up'), SOON);
    await vi.waitFor(async () => {
      expect(await count(supervisor)).toBeGreaterThan(before);
    }, SOON);
    await supervisor.stop();
    expect(existsSync(`/proc/${supervisor.pid}`)).toBe(false);
  });

  test('that never stood is given up at once', async () => {
    const { supervisor, states } = await supervised('BEGIN { nofunc(1); }');
    await supervisor.settled;
    expect(states).toEqual([{ phase: 'down', reason: expect.stringMatching(/nofunc/) }]);
    await supervisor.stop();
  });

  test.each([
    'ERROR: Error loading program: interval:s:1: Resource temporarily unavailable',
    'ERROR: failed to create map: Cannot allocate memory',
    "ERROR: Couldn't load BPF program (-EINTR): Interrupted system call",
  ])('that could not stand for a moment (%s) is tried again', async (complaint) => {
    const { supervisor, states } = refusedTimes(2, complaint);
    await supervisor.settled;
    expect(states.map(({ phase }) => phase)).toEqual(['up']);
    await supervisor.stop();
  });

  test('that could not stand three times is given up, and the reason says so', async () => {
    const { supervisor, states } = refusedTimes(3, 'ERROR: no map: Cannot allocate memory');
    await supervisor.settled;
    expect(states).toEqual([
      { phase: 'down', reason: expect.stringMatching(/Cannot allocate memory.*, after 3 tries$/) },
    ]);
    await supervisor.stop();
  });

  test('that dies again and again is given up after five restarts, each after twice the time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { supervisor, states } = await supervised('BEGIN { printf("up"); exit(); }');
      let passed = 0;
      await vi.waitFor(
        async () => {
          // Once for each restart that is planned: bpftrace itself may take its time to start.
          const planned = states.filter(({ phase }) => phase === 'restarting').length;
          if (planned > passed) await vi.advanceTimersByTimeAsync(20_000);
          passed = planned;
          expect(states.at(-1)?.phase).toBe('down');
        },
        { timeout: 120_000, interval: 100 },
      );
      const plans = states.flatMap((state) => (state.phase === 'restarting' ? [state.reason] : []));
      expect(plans).toEqual(
        [1, 2, 4, 8, 16].map(
          (seconds, i) => `bpftrace ended by itself; restart ${i + 1} of 5 in ${seconds} s`,
        ),
      );
      expect(states.at(-1)).toEqual({
        phase: 'down',
        reason: 'bpftrace ended by itself; given up after 5 restarts',
      });
      await supervisor.stop();
    } finally {
      vi.useRealTimers();
    }
  });

  test('that is stopped while it waits does not start again', async () => {
    const { supervisor, states } = await supervised('BEGIN { printf("up"); exit(); }');
    await vi.waitFor(() => expect(states.at(-1)?.phase).toBe('restarting'), SOON);
    await supervisor.stop();
    await sleep(1500);
    expect(states.at(-1)?.phase).toBe('restarting');
  });
});
