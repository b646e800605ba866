// A real agent with everything switched on, real packets, and a Prometheus that scrapes it: what the
// panels are asked to show. For tests of one file.

import { PROBES } from '../../src/probes/index.ts';
import { type AgentProcess, startAgent } from '../e2e/agent_process.ts';
import { sendOverLoopback } from '../e2e/loopback.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import {
  type Feature,
  type PrometheusServer,
  startPrometheus,
} from '../metrics/prometheus_server.ts';
import { EXAMPLES } from '../publish/dashboards.ts';
import type { Window } from './panels.ts';

/** With a space and an ampersand: what links make of it is tested, too. */
export const JOB = 'agents & co';

/** Budgets so low that there are outliers of each probe. */
export const CONFIG = `
probes:
${PROBES.map(({ id }) => `  ${id}: { enabled: true, budget: 20us }`).join('\n')}
labels: { cpu: always }
series_max: 20000
bpf_stats: true
`;

export class Scene {
  readonly agent: AgentProcess;
  readonly #lab: Lab;

  private constructor(agent: AgentProcess, lab: Lab) {
    this.agent = agent;
    this.#lab = lab;
  }

  static async open(config: string): Promise<Scene> {
    const lab = new Lab();
    try {
      return new Scene(await startAgent(['--config.file', config]), lab);
    } catch (error) {
      lab.close();
      throw error;
    }
  }

  get instance(): string {
    return new URL(this.agent.url).host;
  }

  prometheus(features: readonly Feature[]): Promise<PrometheusServer> {
    return startPrometheus([{ name: JOB, target: this.instance, path: '/metrics' }], features);
  }

  /** About a second of datagrams and segments, over loopback and over veth, and drops. */
  async traffic(): Promise<void> {
    await sendOverLoopback(1009);
    for (const protocol of ['udp', 'tcp'] as const) {
      const receiver = this.#lab.receive(protocol, RECEIVER, 5401, 503);
      await receiver.ready;
      await this.#lab.send(protocol, RECEIVER, 5401, 503, { 'gap-us': 500 });
      await receiver.result;
    }
    // Nobody listens there: drops with a reason.
    this.#lab.exec(
      this.#lab.sender,
      'bash',
      '-c',
      `for i in {1..101}; do echo > /dev/udp/${RECEIVER}/5999; done || :`,
    );
  }

  /** The last seconds, as a dashboard asks for them. */
  window(seconds: number, step: number): Window {
    const to = Math.floor(Date.now() / 1000);
    const rateInterval = `${Math.max(4, 2 * step)}s`;
    const values = {
      ...EXAMPLES,
      job: JOB,
      instance: this.instance,
      __rate_interval: rateInterval,
    };
    return { from: to - seconds, to, step, values };
  }

  async close(): Promise<void> {
    await this.agent.stop();
    this.#lab.close();
  }
}
