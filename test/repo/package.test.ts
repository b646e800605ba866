// House rules about what a user receives: licences, the log of changes, the contents of the package.

import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

interface Manifest {
  readonly version: string;
  readonly gypfile: boolean;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(textOf('package.json')) as Manifest;

test.each(['README.md', 'CHANGELOG.md', 'LICENSE', 'bpf/LICENSE', 'src/README.md'])(
  '%s exists',
  (file) => {
    expect(projectFiles(), `write ${file}`).toContain(file);
  },
);

test('the CHANGELOG has an entry for the version in package.json', () => {
  const heading = new RegExp(`^## .*\\b${manifest.version.replaceAll('.', '\\.')}\\b`, 'm');
  const advice = `add a heading "## ${manifest.version}" to CHANGELOG.md`;
  expect(heading.test(textOf('CHANGELOG.md')), advice).toBe(true);
});

test('the package neither compiles nor runs a script where it is installed', () => {
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare'];
  const found = hooks.filter((hook) => hook in manifest.scripts);
  expect(found, 'remove the script from package.json: users may have no compiler').toEqual([]);
  expect(manifest.gypfile, 'npm would run node-gyp because of binding.gyp').toBe(false);
});

test('every runtime dependency is imported by src', () => {
  const sources = projectFiles()
    .filter((file) => /^src\/.*\.ts$/.test(file))
    .map(textOf)
    .join('\n');
  // Headers for the addon's build, which no TypeScript imports.
  const used = ['node-addon-api'];
  const idle = Object.keys(manifest.dependencies).filter(
    (name) => !used.includes(name) && !new RegExp(`['(]${name}(/[^']*)?'`).test(sources),
  );
  expect(idle, 'remove it from the dependencies in package.json').toEqual([]);
});

test('every BPF source states its licence', () => {
  const unmarked = projectFiles()
    .filter((file) => /^bpf\/.*\.(c|h)$/.test(file))
    .filter(
      (file) => !textOf(file).includes('SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)'),
    );
  expect(unmarked, 'open it with the SPDX line that its neighbours have').toEqual([]);
});

test('package-lock.json has every optional package that another one pins', () => {
  // npm leaves out those that its registry did not have when the file was written, and `npm ci`
  // then refuses the file where the registry has them not either.
  const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, Locked> };
  const missing = Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !isLocked(Object.keys(lock.packages), path, name))
        .map((name) => `${name} (of ${path})`),
    );
  const advice = 'add an entry with version, cpu, os and "optional": true, like its siblings have';
  expect(missing, advice).toEqual([]);
});

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Whether Node would find the package from a folder: there, or in one further up. */
function isLocked(paths: readonly string[], from: string, name: string): boolean {
  if (paths.includes(`${from === '' ? '' : `${from}/`}node_modules/${name}`)) return true;
  if (from === '') return false;
  const end = from.lastIndexOf('/node_modules/');
  return isLocked(paths, end < 0 ? '' : from.slice(0, end), name);
}
