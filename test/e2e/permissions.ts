// What each set of capabilities lets the agent do: the table of the README, which the tests hold
// against this machine's kernel and against others in guests.

import { execFile } from 'node:child_process';
import { asNobody, TRACEFS } from './surroundings.ts';

/** What may take a capability; capability_trial.mjs tries each. */
export const ACTIONS = [
  'tp_btf',
  'raw_tp',
  'fentry',
  'kprobe',
  'tracepoint',
  'outliers',
  'bpf_stats',
  'names',
] as const;
export type Action = (typeof ACTIONS)[number];

/** `perf`: only where kernel.perf_event_paranoid is 2 or less. */
export type Verdict = 'yes' | 'no' | 'perf';

export interface Row {
  /** Of a user who is not root. */
  readonly capabilities: readonly string[];
  readonly works: Readonly<Record<Action, Verdict>>;
}

const NOTHING: Row['works'] = {
  tp_btf: 'no',
  raw_tp: 'no',
  fentry: 'no',
  kprobe: 'no',
  tracepoint: 'no',
  outliers: 'no',
  bpf_stats: 'no',
  // Of devices and interrupts, from /sys and /proc.
  names: 'yes',
};

const ENOUGH: Row['works'] = {
  ...NOTHING,
  tp_btf: 'yes',
  raw_tp: 'yes',
  fentry: 'yes',
  kprobe: 'perf',
  outliers: 'perf',
};

const ADMIN: Row['works'] = { ...ENOUGH, kprobe: 'yes', outliers: 'yes', bpf_stats: 'yes' };

export const ROWS: readonly Row[] = [
  { capabilities: [], works: NOTHING },
  { capabilities: ['CAP_BPF'], works: NOTHING },
  { capabilities: ['CAP_PERFMON'], works: NOTHING },
  { capabilities: ['CAP_BPF', 'CAP_PERFMON'], works: ENOUGH },
  { capabilities: ['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN'], works: ENOUGH },
  {
    capabilities: ['CAP_BPF', 'CAP_PERFMON', 'CAP_DAC_READ_SEARCH'],
    works: { ...ENOUGH, tracepoint: 'perf' },
  },
  { capabilities: ['CAP_SYS_ADMIN'], works: ADMIN },
  {
    capabilities: ['CAP_SYS_ADMIN', 'CAP_DAC_READ_SEARCH'],
    works: { ...ADMIN, tracepoint: 'yes' },
  },
];

/** What one process could do; see capability_trial.mjs. */
export interface Trial {
  /** Its effective set, in hexadecimal. */
  readonly effective: string;
  /** By action, why not; empty when it works. */
  readonly told: Readonly<Record<Action, string>>;
}

export const TRIAL = 'test/e2e/capability_trial.mjs';

/** The words of a trial as nobody with these capabilities. */
export function trialCommand(folder: string, capabilities: readonly string[]): readonly string[] {
  return asNobody(folder, { capabilities, script: TRIAL, mounts: TRACEFS });
}

export function runTrial([program = '', ...words]: readonly string[]): Promise<Trial> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(JSON.parse(stdout) as Trial);
    });
  });
}

/**
 * By action whether it must work: where the capabilities allow it and root could do it too, for a
 * kernel may lack kprobes or refuse fentry to everybody.
 */
export function expected(
  row: Row,
  root: Trial,
  perfEventParanoid: number,
): Record<Action, boolean> {
  const may = (verdict: Verdict): boolean =>
    verdict === 'yes' || (verdict === 'perf' && perfEventParanoid <= 2);
  return record((action) => may(row.works[action]) && root.told[action] === '');
}

export function worked({ told }: Trial): Record<Action, boolean> {
  return record((action) => told[action] === '');
}

function record(value: (action: Action) => boolean): Record<Action, boolean> {
  return Object.fromEntries(ACTIONS.map((action) => [action, value(action)])) as Record<
    Action,
    boolean
  >;
}

const COLUMNS: readonly { readonly title: string; readonly actions: readonly Action[] }[] = [
  { title: '`tp_btf`, `raw_tp`, `fentry`', actions: ['tp_btf', 'raw_tp', 'fentry'] },
  { title: '`kprobe`', actions: ['kprobe'] },
  { title: '`tracepoint`', actions: ['tracepoint'] },
  { title: 'outliers', actions: ['outliers'] },
  { title: '`--bpf-stats`', actions: ['bpf_stats'] },
];

const CELLS: Readonly<Record<Verdict, string>> = { yes: 'yes', no: '–', perf: 'yes¹' };

/** The README's table. */
export function permissionsTable(): string {
  const rows = ROWS.map(({ capabilities, works }) => [
    capabilities.length === 0 ? '(none)' : capabilities.map((name) => `\`${name}\``).join(', '),
    ...COLUMNS.map(({ actions }) => {
      const verdicts = new Set(actions.map((action) => works[action]));
      if (verdicts.size !== 1) throw new Error(`${actions} differ: they need columns of their own`);
      return CELLS[[...verdicts][0] ?? 'no'];
    }),
  ]);
  const head = ['capabilities', ...COLUMNS.map(({ title }) => title)];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return [line(head), `|${'---|'.repeat(head.length)}\n`, ...rows.map(line)].join('');
}
