// The agent's life as a process: start, reload, end. What it leaves in the kernel is asked of
// bpftool, not of the agent.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent as Connections, get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import type { ProbeStatus } from '../../src/capture/status.ts';
import { type AgentProcess, logLine, runRxscope, startAgent } from './agent_process.ts';
import { ENABLED, LATENCIES, standings } from './catalogue.ts';
import { heldBpf, programNames, stillThere } from './held_bpf.ts';
import { scratch } from './scratch.ts';

const files = scratch();
/** RCU may delay the release of programs and maps; a busy machine delays the rest. */
const SOON = { timeout: 20_000, interval: 50 };
/** What the agent promises for its shutdown. */
const SHUTDOWN_MS_MAX = 2000;

test('listens on loopback and is ready and healthy; the first good scrape comes soon', async () => {
  const startedMs = performance.now();
  const agent = await startAgent();
  const { status } = await agent.scrape();
  console.log(`start to first good scrape: ${Math.round(performance.now() - startedMs)} ms`);
  expect(status).toBe(200);
  expect(agent.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  for (const path of ['/-/healthy', '/-/ready', '/']) {
    expect((await fetch(agent.url + path)).status).toBe(200);
  }
  const ups = (await agent.numbers()).find('rxscope_probe_up');
  expect(ups.map(({ labels, value }) => [labels.probe, value])).toEqual(
    ENABLED.map((id) => [id, 1]),
  );
});

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: exit code 0 within 2 s, and the log says which signal it was',
    async (signal) => {
      const agent = await startAgent();
      const { code, ms } = await agent.stop(signal);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(SHUTDOWN_MS_MAX);
      expect(agent.logs().at(-1)).toMatchObject({ signal, msg: 'stopping' });
    },
  );

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: requests in flight are answered, in full, before the agent ends',
    async (signal) => {
      const agent = await startAgent(['--log.level', 'debug']);
      const connections = new Connections({ keepAlive: true });
      const requests = 7;
      // Opened and used once, so that the agent has accepted them.
      await Promise.all(Array.from({ length: requests }, () => scrapeGzip(agent, connections)));
      // While it is stopped nothing is answered: the requests and then the signal wait for it.
      agent.child.kill('SIGSTOP');
      await vi.waitFor(() => expect(stateOf(agent)).toBe('T'), SOON);
      let sent = 0;
      const answers = Array.from({ length: requests }, () =>
        scrapeGzip(agent, connections, () => {
          sent += 1;
        }),
      );
      await vi.waitFor(() => expect(sent).toBe(requests), SOON);
      const ended = agent.stop(signal);
      agent.child.kill('SIGCONT');
      for (const body of await Promise.all(answers)) expect(body).toMatch(/\n# EOF\n$/);
      const { code, ms } = await ended;
      expect(code).toBe(0);
      expect(ms).toBeLessThan(SHUTDOWN_MS_MAX);
      // They were in flight indeed: answered after the agent had begun to stop.
      const messages = agent.logs().map(({ msg }) => msg);
      expect(messages.lastIndexOf('answered')).toBeGreaterThan(messages.indexOf('stopping'));
    },
  );

  test('half a request and a silent connection do not hold it up', async () => {
    const agent = await startAgent();
    const { hostname, port } = new URL(agent.url);
    const half = connect(Number(port), hostname);
    const silent = connect(Number(port), hostname);
    await Promise.all([once(half, 'connect'), once(silent, 'connect')]);
    half.write('GET /metrics HTTP/1.1\r\nHost: x\r\n');
    // An answer to a later connection shows that the agent has seen these two.
    await agent.scrape();
    const closed = Promise.all([closing(half), closing(silent)]);
    const { code, ms } = await agent.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(SHUTDOWN_MS_MAX);
    await closed;
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'after %s the kernel has none of its programs and maps any more',
    async (signal) => {
      const agent = await startAgent();
      const held = heldBpf(agent.pid);
      // One for each hook that some rung could be had for; here those are the tracepoints' nine.
      const { probes } = (await agent.json('/api/v1/probes')) as { probes: ProbeStatus[] };
      const programs = probes.flatMap((probe) => probe.programs.map(({ program }) => program));
      const attached = new Set(programs.filter((program) => program !== undefined));
      expect(attached.size).toBeGreaterThanOrEqual(9);
      expect(programNames(held).sort()).toEqual([...attached].sort());
      expect(held.maps.size).toBeGreaterThanOrEqual(5);
      await agent.stop(signal);
      await vi.waitFor(() => expect(stillThere(held)).toEqual([]), SOON);
    },
  );
});

test('a port in use: exit code 1, and the message says who has it and what to do', async () => {
  const agent = await startAgent();
  const { host, port } = new URL(agent.url);
  const { code, stdout, stderr } = await runRxscope(['run', '--web.listen-address', host]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toBe(
    `cannot listen on ${host}: EADDRINUSE\n` +
      `  Another process listens there; \`ss -ltnp 'sport = :${port}'\` shows which.\n` +
      '  Stop it, or choose another address with --web.listen-address.\n',
  );
});

describe('SIGHUP', () => {
  test('takes over new budgets without a gap in the counts', async () => {
    const file = files.write('good.yaml', 'probes: { receive_to_socket: { budget: 30us } }\n');
    const agent = await startAgent(['--config.file', file]);
    expect(await budgetOf(agent, 'receive_to_socket')).toBe(30e-6);
    const before = (await agent.numbers()).total('rxscope_received_packets_total');

    files.write('good.yaml', 'probes: { receive_to_socket: { budget: 70us } }\n');
    agent.child.kill('SIGHUP');
    await vi.waitFor(
      async () => expect(await budgetOf(agent, 'receive_to_socket')).toBe(70e-6),
      SOON,
    );
    const numbers = await agent.numbers();
    expect(numbers.total('rxscope_received_packets_total')).toBeGreaterThanOrEqual(before);
    expect(numbers.total('rxscope_config_last_reload_successful')).toBe(1);
    expect(await budgetOf(agent, 'softirq_to_socket')).toBe(500e-6);
    await logLine(agent, ({ msg }) => msg === 'configuration reloaded');
  });

  test('keeps the old settings when the file is bad, says each problem, and recovers', async () => {
    const file = files.write('bad.yaml', 'probes: { irq_to_softirq: { budget: 20us } }\n');
    const agent = await startAgent(['--config.file', file]);
    const reloaded = async () =>
      (await agent.numbers()).total('rxscope_config_last_reload_successful');
    expect(await reloaded()).toBe(1);

    files.write('bad.yaml', 'probes: { irq_to_softirq: { budget: 20 } }\nseries_max: many\n');
    agent.child.kill('SIGHUP');
    await vi.waitFor(async () => expect(await reloaded()).toBe(0), SOON);
    expect(await budgetOf(agent, 'irq_to_softirq')).toBe(20e-6);
    const problems = agent
      .logs()
      .filter(({ msg }) => msg === 'configuration not reloaded')
      .map(({ problem }) => String(problem));
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain(`${file}: probes.irq_to_softirq.budget: got 20, expected`);
    expect(problems[1]).toContain(`${file}: series_max: got "many", expected`);

    files.write('bad.yaml', 'probes: { irq_to_softirq: { budget: 40us } }\n');
    agent.child.kill('SIGHUP');
    await vi.waitFor(async () => expect(await reloaded()).toBe(1), SOON);
    expect(await budgetOf(agent, 'irq_to_softirq')).toBe(40e-6);
  });

  test('names the settings that take a restart, and takes over the others', async () => {
    const file = files.write('fixed.yaml', 'devices_max: 16\n');
    const agent = await startAgent(['--config.file', file]);
    files.write(
      'fixed.yaml',
      'devices_max: 32\nprobes: { irq_to_softirq: { enabled: false, budget: 3us } }\n',
    );
    agent.child.kill('SIGHUP');
    const warning = await logLine(agent, ({ settings }) => settings !== undefined);
    expect(warning.settings).toEqual(['probes.*.enabled', 'devices_max']);
  });

  test('flags still win over the file that is read again', async () => {
    const file = files.write('flags.yaml', 'log: { level: error }\n');
    const agent = await startAgent(['--config.file', file, '--log.level', 'info']);
    agent.child.kill('SIGHUP');
    await logLine(agent, ({ msg }) => msg === 'configuration reloaded');
  });
});

describe('a probe that is switched off', () => {
  const OFF = ['irq_to_softirq', 'hardirq_duration'];
  const off = () => {
    const lines = OFF.map((id) => `  ${id}: { enabled: false }\n`);
    return files.write('off.yaml', `probes:\n${lines.join('')}`);
  };

  test('has no series of its own, is not up, and its programs are not loaded', async () => {
    const agent = await startAgent(['--config.file', off()]);
    const numbers = await agent.numbers();
    const others = LATENCIES.filter((id) => !OFF.includes(id));
    expect(numbers.names(/^rxscope_.*_seconds_count$/)).toEqual(
      others.map((id) => `rxscope_${id}_seconds_count`),
    );
    for (const name of ['over_budget_total', 'budget_seconds', 'unmatched_total', 'probe_up']) {
      for (const probe of OFF) expect(numbers.find(`rxscope_${name}`, { probe })).toEqual([]);
    }
    expect(programNames(heldBpf(agent.pid)).filter((name) => name.startsWith('irq_'))).toEqual([]);
    expect(agent.logs().filter(({ level }) => level >= 40)).toEqual([]);
  });

  test('is listed by `rxscope probes` with the reason, and is no failure', async () => {
    const args = ['probes', '--json', '--config.file', off()];
    const { code, stdout } = await runRxscope(args);
    expect(code).toBe(0);
    const statuses = JSON.parse(stdout) as { id: string; up: boolean; reason: string }[];
    const on = ENABLED.filter((id) => !OFF.includes(id));
    expect(statuses.map(({ id, up }) => [id, up])).toEqual(standings(on, true));
    for (const { up, reason } of statuses)
      expect(reason).toBe(up ? '' : 'switched off by the configuration');
  });

  test('is no reason for --strict to fail', async () => {
    const agent = await startAgent(['--strict', '--probe', 'receive_to_socket']);
    expect((await agent.stop()).code).toBe(0);
  });
});

test('--bpf-stats counts the programs themselves while the agent lives', async () => {
  const agent = await startAgent(['--bpf-stats']);
  await vi.waitFor(async () => {
    const numbers = await agent.numbers();
    const labels = { program: 'softirq_entry__tp_btf' };
    expect(numbers.total('rxscope_program_runs_total', labels)).toBeGreaterThan(0);
    expect(numbers.total('rxscope_program_run_seconds_total', labels)).toBeGreaterThan(0);
  }, SOON);
});

test('--no-process-metrics leaves out process_* and nodejs_*', async () => {
  const agent = await startAgent(['--no-process-metrics']);
  expect((await agent.numbers()).names(/^(process|nodejs)_/)).toEqual([]);
});

async function budgetOf(agent: AgentProcess, probe: string): Promise<number> {
  return (await agent.numbers()).total('rxscope_budget_seconds', { probe });
}

/** One scrape that is compressed off the event loop, so that its answer takes its time. */
function scrapeGzip(agent: AgentProcess, connections: Connections, onSent = () => {}) {
  return new Promise<string>((resolve, reject) => {
    const headers = { accept: 'application/openmetrics-text', 'accept-encoding': 'gzip' };
    const options = { agent: connections, headers };
    const request = get(`${agent.url}/metrics`, options, (response) => {
      read(response).then((body) => {
        if (response.statusCode === 200) resolve(gunzipSync(body).toString());
        else reject(new Error(`status ${response.statusCode}: ${body}`));
      }, reject);
    });
    request.once('finish', onSent);
    request.once('error', reject);
  });
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The letter in /proc/<pid>/stat: T is stopped by a signal. */
function stateOf(agent: AgentProcess): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${agent.pid}/stat`, 'utf8'))?.[1];
}

function closing(socket: Socket): Promise<unknown> {
  // A reset is as good an end as any here.
  socket.on('error', () => {}).resume();
  return once(socket, 'close');
}
