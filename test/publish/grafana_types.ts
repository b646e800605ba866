// Checks dashboards against the types that Grafana publishes in its SDK, by the TypeScript compiler:
// each dashboard, panel option and query becomes a literal of its type, so that an unknown setting, a
// missing one or a value that no enum has is an error. The SDK's enums become unions of their values,
// for JSON has no other. Knows nothing that only a running Grafana knows: plugins, versions, data.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../repo/project_files.ts';

const SDK = join(ROOT, 'node_modules/@grafana/grafana-foundation-sdk/dist');
const COMMON = ['common', 'dashboard', 'prometheus'];

/** A setting that an override gives to the fields that it matches. */
interface Property {
  readonly id: string;
  readonly value?: unknown;
}

interface Panel {
  readonly type: string;
  readonly options?: unknown;
  readonly fieldConfig?: {
    readonly defaults?: { readonly custom?: unknown };
    readonly overrides?: readonly { readonly properties: readonly Property[] }[];
  };
  readonly targets?: readonly unknown[];
  readonly panels?: readonly Panel[];
}

export interface Judged {
  readonly name: string;
  readonly panels: readonly Panel[];
}

/** The compiler's complaints, one a line; none when every dashboard is of Grafana's types. */
export function complaints(dashboards: readonly Judged[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-grafana-'));
  try {
    const panels = dashboards.map((one) =>
      one.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]),
    );
    const plugins = [...new Set(panels.flat().map(({ type }) => type))].filter(
      (type) => type !== 'row',
    );
    writeTypes(folder, [...COMMON, ...plugins.map(moduleOf)]);
    dashboards.forEach(({ name, ...dashboard }, index) => {
      const parts = (panels[index] ?? []).flatMap(partsOf);
      writeFileSync(join(folder, `${name}.ts`), source(dashboard, plugins, parts));
    });
    const options = {
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: [],
      module: 'nodenext',
    };
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...options, allowImportingTsExtensions: true },
        include: ['*.ts'],
      }),
    );
    const { stdout, status } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder],
      { encoding: 'utf8' },
    );
    const lines = stdout.split('\n').filter((line) => line !== '');
    return status === 0 || lines.length > 0 ? lines : [`tsc ended with ${status}`];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Each literal with its type. */
function partsOf({ type, options, fieldConfig, targets = [] }: Panel): [unknown, string][] {
  if (type === 'row') return [];
  const custom = fieldConfig?.defaults?.custom;
  return [
    [options, `${moduleOf(type)}.Options`],
    ...(custom === undefined
      ? []
      : [[custom, `${moduleOf(type)}.FieldConfig`] as [unknown, string]]),
    ...(fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
      properties
        // The SDK takes a field's links for those of a dashboard, which have more settings.
        .filter(({ id }) => id !== 'links')
        .map((one) => partOf(one, type)),
    ),
    ...targets.map((target): [unknown, string] => [target, 'prometheus.Dataquery']),
  ];
}

/** What the panel's kind knows of its own goes by `custom.`. */
function partOf({ id, value }: Property, type: string): [unknown, string] {
  const own = /^custom\.(.+)/.exec(id)?.[1];
  return own === undefined
    ? [{ [id]: value }, 'Partial<dashboard.FieldConfig>']
    : [{ [own]: value }, `Partial<${moduleOf(type)}.FieldConfig>`];
}

function source(
  dashboard: unknown,
  plugins: readonly string[],
  parts: [unknown, string][],
): string {
  const imports = [...COMMON, ...plugins.map(moduleOf)].map(
    (name) => `import type * as ${name} from './sdk/${name}.ts';`,
  );
  const literals = [[dashboard, 'dashboard.Dashboard'] as const, ...parts].map(
    ([value, type], index) =>
      `export const part${index}: ${type} = ${JSON.stringify(value, null, 1)};`,
  );
  return `${imports.join('\n')}\n${literals.join('\n')}\n`;
}

/** `status-history` is the panel's id, `statushistory` the SDK's module. */
function moduleOf(type: string): string {
  return type.replaceAll('-', '');
}

/** The SDK's declarations of these modules, with unions in place of enums. */
function writeTypes(folder: string, names: readonly string[]): void {
  mkdirSync(join(folder, 'sdk'));
  const known = readdirSync(SDK);
  const texts = [...new Set(names)].map((name): [string, string] => {
    if (!known.includes(name)) throw new Error(`Grafana's SDK has no panel ${name}`);
    return [name, readFileSync(join(SDK, name, 'types.gen.d.ts'), 'utf8')];
  });
  const members = new Map<string, string>();
  for (const [, text] of texts)
    for (const [, name = '', body = ''] of text.matchAll(ENUM))
      for (const [, member, value = ''] of body.matchAll(MEMBER))
        members.set(`${name}.${member}`, value);
  for (const [name, text] of texts) {
    const unions = text
      .replaceAll(ENUM, (_, enumName: string, body: string) => {
        const values = [...body.matchAll(MEMBER)].map(([, , value]) => value);
        return `export type ${enumName} = ${values.join(' | ')};`;
      })
      .replaceAll(/(?:\b\w+\.)?\b(\w+\.\w+)\b/g, (whole, key: string) => members.get(key) ?? whole)
      // What marks a query as one to the builders; no JSON has it.
      .replaceAll(/ *_implementsDataqueryVariant\(\): void;\n/g, '')
      .replaceAll(/from '\.\.\/(\w+)'/g, "from './$1.ts'");
    writeFileSync(
      join(folder, 'sdk', `${name}.ts`),
      unions.replaceAll('export declare const', 'export declare let'),
    );
  }
  writeFileSync(
    join(folder, 'sdk', 'cog.ts'),
    "import type * as prometheus from './prometheus.ts';\nexport type Dataquery = prometheus.Dataquery;\n",
  );
}

const ENUM = /export declare enum (\w+) \{([^}]*)\}/g;
const MEMBER = /(\w+) = ("[^"]*"|-?\d+)/g;
