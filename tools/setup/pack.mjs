// What `npm pack` does first: builds everything and lays the prebuilt addon into prebuilds/, with
// the shared libraries that it needs and their licences. Packs for the platform that it runs on.

import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fail, run, SetupError, step } from './report.mjs';
import { ROOT, setup } from './setup.mjs';

/** Libraries that the addon may bring along, by SONAME. Their licences allow it as it is done. */
const BUNDLED = {
  'libbpf.so.1': 'LGPL-2.1-only OR BSD-2-Clause',
  'libelf.so.1': 'LGPL-3.0-or-later OR GPL-2.0-or-later',
  'libz.so.1': 'Zlib',
};

const LICENCE_FOLDER = '/usr/share/common-licenses';

await setup({ tests: false });
try {
  await step('laying out prebuilds', layOut);
} catch (error) {
  fail(error);
}

async function layOut() {
  const addon = join(ROOT, 'build/Release/rxscope.node');
  const folder = join(ROOT, 'prebuilds', `${process.platform}-${process.arch}`);
  const libraries = await librariesOf(addon);
  rmSync(join(ROOT, 'prebuilds'), { recursive: true, force: true });
  mkdirSync(join(folder, 'licenses'), { recursive: true });
  // The tag keeps node-gyp-build from choosing this file where the C library is musl.
  const packed = join(folder, 'rxscope.glibc.node');
  copyFileSync(addon, packed);
  await mustRun('strip', ['--strip-unneeded', packed]);
  const rows = [];
  for (const [soname, path] of libraries) {
    // A real file under the name that the loader asks for, not the link that has it on the system.
    copyFileSync(realpathSync(path), join(folder, soname));
    rows.push(`${soname}: ${BUNDLED[soname]}; ${await copyLicence(path, folder)}`);
  }
  writeFileSync(
    join(folder, 'licenses/README'),
    `The shared libraries beside the addon are Debian's binaries, unmodified. They are linked\ndynamically: put your own build in their place, or delete them to use the system's.\n\n${rows.join('\n')}\n`,
  );
}

/** The libraries that the addon loads and Node itself does not, as [SONAME, path]. */
async function librariesOf(addon) {
  const inNode = new Set((await linkedLibraries(process.execPath)).map(([soname]) => soname));
  const own = (await linkedLibraries(addon)).filter(([soname]) => !inNode.has(soname));
  const unknown = own.filter(([soname]) => BUNDLED[soname] === undefined);
  if (unknown.length === 0) return own;
  throw new SetupError(
    `cannot pack: the addon needs ${unknown.map(([soname]) => soname).join(', ')}.`,
    'Such a library is neither part of Node nor known to this script.',
    'Drop it from binding.gyp, or add it with its licence to BUNDLED in tools/setup/pack.mjs.',
  );
}

async function linkedLibraries(file) {
  const lines = (await mustRun('ldd', [file])).split('\n');
  return lines.flatMap((line) => {
    const [, soname, path] = /^\s*(\S+) => (\/\S+)/.exec(line) ?? [];
    return soname === undefined ? [] : [[soname, path]];
  });
}

/** Copies the copyright file of the library's package; returns its name and version. */
async function copyLicence(path, folder) {
  // dpkg knows a file by the folder that it was packed into, which may since be a link.
  const real = realpathSync(path);
  const candidates = [real, real.replace(/^\/usr/, '')];
  for (const candidate of candidates) {
    const { code, output } = await run('dpkg', ['-S', candidate]);
    if (code !== 0) continue;
    const name = output.split(':')[0];
    const copyright = `/usr/share/doc/${name}/copyright`;
    if (!existsSync(copyright)) break;
    copyFileSync(copyright, join(folder, 'licenses', `${name}.copyright`));
    copyFullTexts(readFileSync(copyright, 'utf8'), folder);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders.
    const format = '-f=${source:Package} ${source:Version} (Debian source package)';
    return await mustRun('dpkg-query', ['-W', format, name]);
  }
  throw new SetupError(
    `cannot pack ${basename(path)}: its licence was not found.`,
    `No Debian package with a copyright file owns ${real}.`,
    'Pack on Debian 12, with the libbpf1, libelf1 and zlib1g packages of that release.',
  );
}

/** Debian's copyright files point to the full texts of common licences: bring those along too. */
function copyFullTexts(copyright, folder) {
  for (const [, name] of copyright.matchAll(/\/usr\/share\/common-licenses\/([\w.-]*\w)/g)) {
    const text = join(LICENCE_FOLDER, name);
    if (existsSync(text)) {
      cpSync(realpathSync(text), join(folder, 'licenses', name), { dereference: true });
    }
  }
}

async function mustRun(command, args) {
  const { code, output } = await run(command, args);
  if (code === 0) return output;
  throw new SetupError(
    `cannot pack: ${command} failed (exit code ${code}).`,
    output,
    `Try it by hand: ${[command, ...args].join(' ')}`,
  );
}
