// The runbook: a section for each alert, under its name, to which runbook_url leads.

import { alertChapters } from './alerts.ts';
import type { Alert, Change } from './model.ts';
import type { Terms } from './terms.ts';

const OPENING = `# rxscope: runbook

<!-- Made by \`rxscope rules\`; change src/publish/rules rather than this file. -->

A section for each alert: what it means, what to look at, the commands, what to change and what that costs.
Figures without a source of their own are typical ones of well-run hosts, no promises: measure before
and after, and change one thing at a time.

- **critical**: users suffer now. **warning**: look today. **info**: for the one who looks already; do not
  page for it.
- Several alerts of one host at once: begin with lost packets, then CPUs and interrupts, then late packets.
- \`eth0\` and port 10750 stand for your device and your agent. Where that has TLS and users:
  \`curl --cacert CA.pem --user NAME https://HOST:10750/…\`.
- Run the commands as root. \`rxscope trace\` needs bpftrace and tracefs, and says so; \`mpstat\` is in Debian's package
  sysstat, \`nstat\` and \`ss\` in iproute2, \`perf\` in linux-perf, \`cpupower\` in linux-cpupower.
`;

export function runbook(terms: Terms): string {
  const chapters = alertChapters(terms).map(({ title, alerts }) =>
    [`# ${title}`, ...alerts.map(section)].join('\n\n'),
  );
  return `${[OPENING.trimEnd(), ...chapters].join('\n\n')}\n`;
}

function section({ name, conditions, summary, runbook: section }: Alert): string {
  const severities = conditions.map(({ severity, holds }) => `${severity} after ${holds}`);
  return [
    `## ${name}`,
    `*${summary}* (${severities.join(', ')})`,
    `**What it means.** ${section.meaning}`,
    '**What to look at**',
    section.look.map((line, i) => `${i + 1}. ${line}`).join('\n'),
    ['```', ...section.commands, '```'].join('\n'),
    changes(section.changes),
  ].join('\n\n');
}

function changes(rows: readonly Change[]): string {
  const lines = rows.map(({ change, costs }) => `| ${change} | ${costs} |`);
  return ['| what to change | what it costs |', '|---|---|', ...lines].join('\n');
}
