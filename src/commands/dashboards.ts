// `rxscope dashboards`: the Grafana dashboards that come along, adapted, on stdout or as files.

import { Command } from 'commander';
import { alternatives, ConfigError, gotExpected } from '../config/problem.ts';
import { didYouMean } from '../config/suggest.ts';
import {
  DASHBOARD_NAMES,
  type DashboardOptions,
  fileNameOf,
  readDashboard,
} from '../publish/dashboard_files.ts';
import { HISTOGRAMS, type Histograms, STANDARD_OPTIONS } from '../publish/rules/options.ts';
import { type CliContext, examples } from './command.ts';
import { writeFiles } from './output_files.ts';

interface DashboardsFlags {
  readonly out?: string;
  readonly job?: string;
  readonly histograms?: string;
  readonly runbookUrl?: string;
}

export function dashboardsCommand({ io }: CliContext): Command {
  return new Command('dashboards')
    .description('Print the Grafana dashboards, or write them to a folder.')
    .usage('[options] [name]')
    .argument('[name]', `one of ${DASHBOARD_NAMES.join(', ')} (default: all of them)`)
    .option('--out <dir>', 'write a file for each into this folder (default: print them)')
    .option('--job <name>', 'the job that is chosen when they open (default: all that there are)')
    .option(
      '--histograms <form>',
      `of latencies: ${alternatives(HISTOGRAMS)}; auto takes whichever Prometheus has (default: auto)`,
    )
    .option(
      '--runbook-url <url>',
      `where you publish the runbook (default: ${STANDARD_OPTIONS.runbookUrl})`,
    )
    .addHelpText('after', EXAMPLES)
    .action((name: string | undefined, given: DashboardsFlags) => {
      const { names, options } = understood(name, given);
      if (given.out === undefined) {
        const all = names.map((one) => readDashboard(one, options));
        io.out(json(name === undefined ? all : all[0]));
        return;
      }
      const files = names.map(
        (one) => [fileNameOf(one), json(readDashboard(one, options))] as const,
      );
      writeFiles(given.out, files, io.out);
    });
}

const EXAMPLES = `
Without a name they are printed as a JSON array. Grafana imports each file as it is, by hand or by
provisioning: data source, job, host and device are chosen in the dashboard.
${examples([
  ['rxscope dashboards --out /var/lib/grafana/dashboards', 'for provisioning'],
  ['rxscope dashboards overview > overview.json', 'one, to import by hand'],
  ['rxscope dashboards --histograms classic --out .', 'for a Prometheus without native histograms'],
])}`;

/** Throws a ConfigError with all that is wrong. */
function understood(
  name: string | undefined,
  { job, histograms = 'auto', runbookUrl }: DashboardsFlags,
): { names: readonly string[]; options: DashboardOptions } {
  const problems: string[] = [];
  if (name !== undefined && !DASHBOARD_NAMES.includes(name)) {
    const guess = didYouMean(name, DASHBOARD_NAMES) || `; there are ${DASHBOARD_NAMES.join(', ')}`;
    problems.push(`rxscope dashboards: no dashboard "${name}"${guess}`);
  }
  const form = HISTOGRAMS.find((one): one is Histograms => one === histograms);
  if (form === undefined)
    problems.push(`--histograms: ${gotExpected(histograms, alternatives(HISTOGRAMS))}`);
  if (job === '') problems.push(`--job: ${gotExpected(job, 'the name of a scrape job')}`);
  if (form === undefined || problems.length > 0) throw new ConfigError(problems);
  return {
    names: name === undefined ? DASHBOARD_NAMES : [name],
    options: {
      histograms: form,
      ...(job === undefined ? {} : { job }),
      ...(runbookUrl === undefined ? {} : { runbookUrl }),
    },
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
