// Turns the kernel's refusals into one plain sentence: what is missing and what to do about it.

import type { BpfError } from './addon.ts';
import type { Rung } from './hooks.ts';

export function isBpfError(error: unknown): error is BpfError {
  return error instanceof Error && 'operation' in error && 'errno' in error;
}

/** Why a rung cannot be used, for `rxscope probes` and the log. */
export function explainRung(rung: Rung, error: BpfError): string {
  const what = `${rung.attach}/${rung.target}: ${error.code}`;
  switch (error.code) {
    case 'EPERM':
      return rung.attach === 'fentry' || rung.attach === 'kprobe'
        ? `${what}: not permitted, or refused by a locked-down kernel`
        : `${what}: not permitted; run as root or with CAP_BPF and CAP_PERFMON`;
    case 'ENOENT':
    case 'ESRCH':
      return rung.attach === 'tracepoint'
        ? `${what}: not found; tracefs is not mounted, or this kernel has no such tracepoint`
        : `${what}: this kernel does not have it`;
    case 'EACCES':
      return `${what}: the kernel refused it${verifierWords(error)}`;
    case 'EOPNOTSUPP':
      return `${what}: this kernel does not support this way of attaching`;
    default:
      return error.log?.includes('CO-RE relocation')
        ? `${what}: this kernel's event lacks a member that the program reads`
        : `${what}: ${error.message}${verifierWords(error)}`;
  }
}

/** Why no program at all can be loaded. */
export function explainObject(error: BpfError): string {
  switch (error.code) {
    case 'EPERM':
      return 'EPERM: BPF is not permitted here; run as root or with CAP_BPF and CAP_PERFMON';
    case 'ENOENT':
      return `ENOENT: the BPF object is missing (${error.message}); run \`npm run build\` or reinstall rxscope`;
    case 'ESRCH':
      return "ESRCH: the kernel's type information (/sys/kernel/btf/vmlinux) is missing; rxscope needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF)";
    case 'LIBBPF_ERRNO__FORMAT':
      return `the BPF object is damaged (${error.message}); run \`npm run build\` or reinstall rxscope`;
    default:
      return `${error.code}: ${error.message}${verifierWords(error)}`;
  }
}

function verifierWords(error: BpfError): string {
  const line = error.log
    ?.split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('processed ') && !text.startsWith('--'))
    .at(-1);
  return line === undefined ? '' : ` (${line})`;
}
