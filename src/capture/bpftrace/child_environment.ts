// What bpftrace is told of our environment: no more than it needs. Whatever else is there, secrets and
// settings of Node included, is nobody's business, and its messages are read in English.

import { existsSync } from 'node:fs';

const KEPT = ['PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH'];
const OWN_SETTINGS = 'BPFTRACE_';

export function childEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const told = Object.entries(env).filter(
    ([name]) => KEPT.includes(name) || name.startsWith(OWN_SETTINGS),
  );
  return { ...typesOfTheKernel(), ...Object.fromEntries(told), LC_ALL: 'C' };
}

/** Before Linux 5.11, bpftrace 0.17 does not find the kernel's types by itself. */
function typesOfTheKernel(): NodeJS.ProcessEnv {
  const btf = '/sys/kernel/btf/vmlinux';
  return existsSync(btf) ? { BPFTRACE_BTF: btf } : {};
}
