// The system packages that building and testing need, and their installation with apt-get.
// A tool counts as present when its command or file is there, whoever installed it.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, SetupError, say, step } from './report.mjs';

/**
 * Debian's name, what rxscope uses it for, and how to see that it is there: every command on
 * PATH (or in the administrator's folders) and every file.
 */
export const RUN_PACKAGES = [
  { name: 'clang', use: 'compiles the BPF programs', commands: ['clang'] },
  { name: 'llvm', use: 'strips the BPF objects', commands: ['llvm-strip'] },
  {
    name: 'libbpf-dev',
    use: 'the library that loads BPF programs, with headers',
    files: ['/usr/include/bpf/libbpf.h', '/usr/include/bpf/bpf_helpers.h'],
  },
  { name: 'g++', use: 'builds the native addon', commands: ['g++'] },
  { name: 'make', use: 'builds the native addon', commands: ['make'] },
  { name: 'python3', use: 'runs node-gyp', commands: ['python3'] },
];

/** A test holds this list to what the tests call: a tool that none of them names must go. */
export const TEST_PACKAGES = [
  { name: 'iproute2', use: 'network namespaces and veth pairs', commands: ['ip'] },
  { name: 'ethtool', use: 'settings of network devices', commands: ['ethtool'] },
  { name: 'nftables', use: 'a firewall that drops packets', commands: ['nft'] },
  { name: 'bpftool', use: 'a second look at what is loaded', commands: ['bpftool'] },
  { name: 'bpftrace', use: 'an independent measurement', commands: ['bpftrace'] },
  {
    name: 'prometheus',
    use: 'scrapes the agent in tests',
    commands: ['prometheus', 'promtool'],
    services: ['prometheus'],
  },
  {
    name: 'prometheus-alertmanager',
    use: 'turns alerts into notifications',
    commands: ['prometheus-alertmanager', 'amtool'],
    services: ['prometheus-alertmanager'],
  },
  { name: 'jsonnet', use: 'evaluates the mixin of alerts', commands: ['jsonnet', 'jsonnetfmt'] },
  { name: 'openssl', use: 'makes certificates', commands: ['openssl'] },
  { name: 'curl', use: 'asks over TLS', commands: ['curl'] },
  { name: 'libbpf-tools', use: 'independent counts and times', commands: ['softirqs', 'hardirqs'] },
  {
    name: 'prometheus-node-exporter',
    use: 'an independent reading of the host',
    commands: ['prometheus-node-exporter'],
    services: ['prometheus-node-exporter'],
  },
  { name: 'qemu-system-x86', use: 'boots other kernels', commands: ['qemu-system-x86_64'] },
  {
    name: 'qemu-system-common',
    use: 'shares the file system with them',
    files: ['/usr/lib/qemu/virtiofsd'],
  },
  { name: 'busybox-static', use: 'starts them', commands: ['busybox'] },
  { name: 'cpio', use: 'packs what starts them', commands: ['cpio'] },
  { name: 'kmod', use: 'finds their modules', commands: ['modprobe', 'depmod'] },
  { name: 'xz-utils', use: 'unpacks their modules', commands: ['xz'] },
  { name: 'systemd', use: 'judges the systemd unit', commands: ['systemd-analyze'] },
  { name: 'debootstrap', use: 'makes a Debian to install in', commands: ['debootstrap'] },
  { name: 'crun', use: 'runs a container', commands: ['crun'] },
  {
    name: 'golang-github-containers-common',
    use: "a container's usual filter of system calls",
    files: ['/usr/share/containers/seccomp.json'],
  },
];

/** Beyond those, for `npm run test:deploy`. */
export const IMAGE_PACKAGES = [{ name: 'buildah', use: 'builds the image', commands: ['buildah'] }];

/** Installs what is missing and says its name first; does and says nothing when nothing is. */
export async function installPackages(packages) {
  const missing = packages.filter((one) => !isPresent(one));
  if (missing.length === 0) return;
  const names = missing.map((one) => one.name);
  const command = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  say('missing on this machine:');
  for (const { name, use } of missing) say(`  ${name} (${use})`);
  const asRoot = await howToBecomeRoot(command);
  const aptGet = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=120'];
  await step(`installing with apt-get: ${names.join(', ')}`, async () => {
    // Lists that cannot be fetched are no failure yet: those from last time may still serve.
    const update = await asRoot([...aptGet, 'update']);
    const install = [...aptGet, 'install', '-y', '--no-install-recommends', ...names];
    const result = await asRoot(['sh', '-c', WITHOUT_STARTING_SERVICES, 'sh', ...install]);
    if (result.code !== 0) throw installFailed(command, update, result);
    // Not started now, but enabled for the next boot. Without systemd there is nothing to disable.
    const services = missing.flatMap((one) => one.services ?? []);
    if (services.length > 0) await asRoot(['systemctl', 'disable', ...services]);
  });

  const absent = missing.filter((one) => !isPresent(one));
  if (absent.length === 0) return;
  throw new SetupError(
    `${absent.map((one) => one.name).join(', ')}: installed, but not what was expected.`,
    `Not found: ${absent.flatMap(whatIsAbsent).join(', ')}.`,
    'This distribution keeps it elsewhere: put it on PATH, or link it to that place.',
  );
}

function isPresent(one) {
  return whatIsAbsent(one).length === 0;
}

function whatIsAbsent({ commands = [], files = [] }) {
  return [
    ...commands.filter((command) => !isCommand(command)),
    ...files.filter((file) => !existsSync(file)),
  ];
}

function isCommand(command) {
  // An ordinary user's PATH lacks the administrator's folders, where bpftool and ethtool live.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, command)));
}

/** Returns a function that runs a command as root. */
async function howToBecomeRoot(command) {
  if (!isCommand('apt-get')) {
    throw new SetupError(
      'cannot install the missing packages: there is no apt-get here.',
      'rxscope installs packages only on Debian and what descends from it.',
      `Install what this distribution calls the packages above, then run this again.\nOn Debian it would be: ${command}`,
    );
  }
  // debconf must not ask: nobody could answer.
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  if (process.getuid() === 0) return (words) => runWords([...env, ...words]);
  // Without -n sudo would ask for a password behind npm's back.
  if ((await run('sudo', ['-n', 'true'])).code === 0) {
    return (words) => runWords(['sudo', '-n', ...env, ...words]);
  }
  throw new SetupError(
    'cannot install the missing packages: this needs root.',
    'You are not root, and sudo is absent or wants a password.',
    `Run as root: ${command}\nthen run this again as yourself.`,
  );
}

function runWords([command, ...args]) {
  return run(command, args);
}

/**
 * Debian asks policy-rc.d before it starts a service that a package brings; 101 means "forbidden".
 * In a shell of its own, which removes the file also when a signal ends the set-up.
 */
const WITHOUT_STARTING_SERVICES = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
"$@"
`;

function installFailed(command, update, install) {
  const offline = /Could not resolve|Failed to fetch|Temporary failure|Unable to connect/;
  // apt-get calls an update whose mirrors were all unreachable a success.
  const output = [update, install].map((one) => one.output).join('\n');
  return new SetupError(
    `apt-get could not install the packages (exit code ${install.code}).`,
    `${offline.test(output) ? 'The package mirror cannot be reached. ' : ''}It said:\n${output.trim()}`,
    `Mend that (network? proxy? full disk? another apt running?), or run as root: ${command}\nthen run this again.`,
  );
}
