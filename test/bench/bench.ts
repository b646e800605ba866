// `npm run bench [-- kernel|probes|user|ring|gather|scale|days|panels] [--rounds N] …`: what rxscope costs on this machine, as
// Markdown that the README quotes. Needs root. Never passes or fails by time: figures are for
// readers, and a busy machine is no fault of the code.

import { parseArgs } from 'node:util';
import { gatherCost } from './gather_cost.ts';
import { guestCost } from './guest_cost.ts';
import { hostCost } from './host_cost.ts';
import { kernelCost } from './kernel_cost.ts';
import { machineLine } from './machine.ts';
import { probeCost } from './probe_cost.ts';
import { ringCost } from './ring_cost.ts';
import { scaleCost } from './scale_cost.ts';
import { scaleDays } from './scale_days.ts';
import { scalePanels } from './scale_panels.ts';
import { userCost } from './user_cost.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    packets: { type: 'string', default: '200003' },
    scrapes: { type: 'string', default: '50' },
    gathers: { type: 'string', default: '101' },
    minutes: { type: 'string', default: '1' },
    // A thousand, but for panels three hundred.
    hosts: { type: 'string' },
    interval: { type: 'string', default: '10' },
    form: { type: 'string', multiple: true, default: ['native'] },
  },
});

const progress = (line: string): void => {
  process.stderr.write(`bench: ${line}\n`);
};

const PARTS: Readonly<Record<string, { title: string; run: () => Promise<string> }>> = {
  kernel: {
    title: 'Kernel',
    run: () =>
      kernelCost({ rounds: Number(values.rounds), packets: Number(values.packets) }, progress),
  },
  probes: {
    title: 'Each probe',
    run: () =>
      probeCost({ rounds: Number(values.rounds), packets: Number(values.packets) }, progress),
  },
  user: {
    title: 'User space',
    run: async () => {
      const beside = await guestCost(progress);
      const options = { scrapes: Number(values.scrapes), minutes: Number(values.minutes) };
      return `${beside}\n${await userCost(options, progress)}`;
    },
  },
  host: {
    title: 'Beside other tools',
    run: () =>
      hostCost(
        {
          rounds: Number(values.rounds),
          packets: Number(values.packets),
          scrapes: Number(values.scrapes),
        },
        progress,
      ),
  },
  ring: {
    title: 'Perf ring buffer',
    run: () => ringCost({ rounds: Number(values.rounds) }, progress),
  },
  gather: {
    title: 'Gather',
    run: () => gatherCost({ gathers: Number(values.gathers) }, progress),
  },
  days: { title: 'Rules over days', run: () => scaleDays(progress) },
  panels: {
    title: 'Panels of many hosts',
    run: () =>
      scalePanels(
        {
          hosts: Number(values.hosts ?? 300),
          interval: Number(values.interval),
          form: values.form[0] ?? 'native',
        },
        progress,
      ),
  },
  scale: {
    title: 'Many hosts in one Prometheus',
    run: () =>
      scaleCost(
        {
          hosts: Number(values.hosts ?? 1_000),
          interval: Number(values.interval),
          forms: values.form,
        },
        progress,
      ),
  },
};

const wanted = positionals.length === 0 ? Object.keys(PARTS) : positionals;
const unknown = wanted.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  process.stderr.write(
    `bench: ${unknown.join(', ')}: no such part; there are ${Object.keys(PARTS).join(', ')}\n`,
  );
  process.exit(2);
}

process.stdout.write(`Measured on: ${machineLine()}\n`);
for (const name of wanted) {
  const part = PARTS[name];
  if (part === undefined) continue;
  process.stdout.write(`\n## ${part.title}\n\n${await part.run()}`);
}
