// What the rules on windows of days cost once there are days: three days of what is recorded of some hosts,
// as blocks that promtool makes, in a real Prometheus. Cost is in proportion to hosts, so some will do.

import { execFileSync } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ruleGroups } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { Fleet } from '../scale/fleet.ts';
import { instanceOf } from '../scale/simulated_host.ts';
import { formatSpread, markdownTable } from './statistics.ts';

const HOSTS = 20;
const STEP_SECONDS = 30;
const SECONDS = 3 * 86_400;
const QUERIES = 5;
/** Of a host with two devices and the probes that are on by default. */
const LABEL_SETS = [
  ...['irq_to_softirq', 'hardirq_duration'].map((probe) => `probe="${probe}",device="eth0"`),
  ...['softirq_to_socket', 'receive_to_socket'].flatMap((probe) =>
    ['eth0', 'lo'].map((device) => `probe="${probe}",device="${device}"`),
  ),
];
const PROTOCOLS = ['tcp', 'udp'];

/** Returns the table as Markdown. */
export async function scaleDays(progress: (line: string) => void): Promise<string> {
  progress(`three days of ${HOSTS} hosts`);
  const fleet = await Fleet.start({
    hosts: 0,
    template: { families: [] },
    native: false,
    intervalSeconds: STEP_SECONDS,
    rules: '',
    fill,
  });
  try {
    const groups = ruleGroups(STANDARD_OPTIONS).filter(({ name }) => name.includes('budgets'));
    const rows: string[][] = [];
    for (const { name, interval, rules } of groups) {
      for (const rule of rules) {
        if (!('record' in rule)) continue;
        const seconds: number[] = [];
        for (let i = 0; i < QUERIES; i++) {
          seconds.push((await fleet.instantSeconds(rule.expr)) * (1_000 / HOSTS));
        }
        rows.push([rule.record, `${name}, ${interval ?? 'as set'}`, formatSpread(seconds, 2)]);
      }
    }
    const title = `from three days of ${HOSTS} hosts, a sample each ${STEP_SECONDS} s`;
    return markdownTable([title, 'group, interval', 'seconds for 1,000 hosts'], rows);
  } finally {
    await fleet.stop();
  }
}

function fill(folder: string): void {
  const file = join(folder, 'days.txt');
  const end = Math.floor(Date.now() / 1000) - STEP_SECONDS;
  const write = (name: string, labels: readonly string[]): void => {
    appendFileSync(file, `# TYPE ${name} gauge\n`);
    for (let host = 0; host < HOSTS; host++) {
      for (const one of labels) {
        let text = '';
        for (let second = -SECONDS; second <= 0; second += STEP_SECONDS) {
          // As rates are: of many digits, and never the same twice.
          const value = 1000 + host + Math.sin(second) * 17;
          text += `${name}{job="rxscope",instance="${instanceOf(host)}",${one}} ${value} ${end + second}\n`;
        }
        appendFileSync(file, text);
      }
    }
  };
  write('rxscope:over_budget:rate5m', LABEL_SETS);
  write(
    'rxscope:observations:rate5m',
    LABEL_SETS.flatMap((one) => PROTOCOLS.map((protocol) => `${one},protocol="${protocol}"`)),
  );
  appendFileSync(file, '# EOF\n');
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', file, folder], {
    stdio: 'ignore',
  });
  rmSync(file);
}
