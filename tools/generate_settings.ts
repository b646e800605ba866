// Writes the probes' settings and budgets where users read them: the configuration of the Debian package, and
// docs/configuration.md. Run: npx tsx tools/generate_settings.ts

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatDuration } from '../src/config/duration.ts';
import { CATALOGUE, PROBES, probeOf } from '../src/probes/index.ts';
import { PROFILE_NAMES } from '../src/probes/profiles.ts';

export const SETTINGS_FILES = ['deploy/debian/rxscope.yaml', 'docs/configuration.md'] as const;

/** The text of such a file, with what it says of the probes as the catalogue says it. */
export function withSettings(text: string): string {
  return text
    .replace(/^((?:# )?)probes:\n(?:\1 {2}\w+: \{.*\}\n)*/m, (_, comment) =>
      [`${comment}probes:\n`, ...settings().map((line) => `${comment}  ${line}\n`)].join(''),
    )
    .replace(/^(\| budgets by profile .*\n.*\n)(?:\| `\w+` .*\n)*/m, (_, head) =>
      [head, ...budgets().map((row) => `${row}\n`)].join(''),
    );
}

function settings(): string[] {
  return CATALOGUE.map(({ id, enabled }) => {
    const budget_ns = probeOf(id)?.budget_ns;
    const budget = budget_ns === undefined ? '' : `, budget: ${formatDuration(budget_ns)}`;
    return `${id}: { enabled: ${enabled}${budget} }`;
  });
}

/** Rows of a table: the budget without a profile, and with each. */
function budgets(): string[] {
  return PROBES.map(({ id, budget_ns, profileBudgets_ns }) => {
    const all = [budget_ns, ...PROFILE_NAMES.map((name) => profileBudgets_ns[name])];
    return `| \`${id}\` | ${all.map(inWords).join(' | ')} |`;
  });
}

/** `100 µs`. */
function inWords(ns: number): string {
  return formatDuration(ns)
    .replace(/([a-z]+)$/, ' $1')
    .replace(' us', ' µs');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of SETTINGS_FILES) {
    const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
    writeFileSync(path, withSettings(readFileSync(path, 'utf8')));
  }
}
