// Turns the kernel's refusals into one plain sentence: what is missing and what to do about it.
// Names a capability only where this process lacks it.

import type { BpfError } from '../addon/addon.ts';
import { TOO_MANY_FILES } from '../addon/too_many_files.ts';
import { allows, type Permissions, perfEventsNeedAdmin, permissions } from './capabilities.ts';
import { casts, type Rung } from './hooks.ts';

const NO_STATISTICS =
  'EPERM: to turn on BPF statistics takes CAP_SYS_ADMIN; add it, or leave bpf_stats off';

export function isBpfError(error: unknown): error is BpfError {
  return error instanceof Error && 'operation' in error && 'errno' in error;
}

/** Why a rung cannot be used, for `rxscope probes` and the log. */
export function explainRung(
  rung: Rung,
  error: BpfError,
  permitted: Permissions = permissions(),
): string {
  const how = casts(rung) ? ' with bpf_rdonly_cast' : '';
  const what = `${rung.attach}/${rung.target}${how}: ${error.code}`;
  // libbpf asks for the helper's old name when the kernel refuses the new one.
  if (error.log?.includes('cannot use helper bpf_probe_read')) {
    return `${what}: this kernel lets no program copy its memory (lockdown=confidentiality)`;
  }
  switch (error.code) {
    case 'EPERM':
      return `${what}: ${notPermitted(rung, error, permitted)}`;
    case 'ENOENT':
    case 'ESRCH':
      return rung.attach === 'tracepoint'
        ? `${what}: not found; tracefs is not mounted, or this kernel has no such tracepoint`
        : `${what}: this kernel does not have it`;
    case 'EACCES':
      return `${what}: ${noAccess(rung, error, permitted)}`;
    case 'EOPNOTSUPP':
      return `${what}: this kernel does not support this way of attaching`;
    default:
      return error.log?.includes('CO-RE relocation')
        ? `${what}: this kernel's event lacks a member that the program reads`
        : `${what}: ${error.message}${verifierWords(error)}${beforeCast(rung)}`;
  }
}

/** Kernels before 6.2 refuse the call in several ways. */
function beforeCast(rung: Rung): string {
  return casts(rung) ? ', as all do before 6.2' : '';
}

/** Why no program at all can be loaded, or the observations over budget cannot be read. */
export function explainObject(error: BpfError, permitted: Permissions = permissions()): string {
  if (error.operation === 'events') return explainEvents(error, permitted);
  if (error.operation === 'stats' && error.code === 'EPERM') return NO_STATISTICS;
  if (error.operation === 'cpus')
    return `${error.code}: the CPUs cannot be counted, since /sys/devices/system/cpu is hidden or not mounted; mount sysfs at /sys`;
  switch (error.code) {
    case 'EPERM':
      return `EPERM: ${missingForBpf(permitted) ?? memoryLock()}`;
    case 'ENOENT':
      return `ENOENT: the BPF object is missing (${error.message}); run \`npm run build\` or reinstall rxscope`;
    case 'ESRCH':
      return "ESRCH: the kernel's type information (/sys/kernel/btf/vmlinux) is missing; rxscope needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF)";
    case 'LIBBPF_ERRNO__FORMAT':
      return `the BPF object is damaged (${error.message}); run \`npm run build\` or reinstall rxscope`;
    default:
      return TOO_MANY_FILES[error.code] ?? `${error.code}: ${error.message}${verifierWords(error)}`;
  }
}

/** Why a perf ring cannot be opened. */
function explainEvents(error: BpfError, permitted: Permissions): string {
  const why =
    error.code === 'EACCES'
      ? missingForPerf(permitted)
      : error.code === 'EPERM'
        ? 'the rings exceed the memory that may be locked (kernel.perf_event_mlock_kb and RLIMIT_MEMLOCK); raise it, or add CAP_IPC_LOCK'
        : undefined;
  return `${error.code}: ${why ?? error.message}`;
}

function notPermitted(rung: Rung, error: BpfError, permitted: Permissions): string {
  const missing = missingForBpf(permitted);
  if (missing !== undefined) return missing;
  if (error.log?.includes('failed to iterate BTF objects')) {
    return 'this kernel itself does not have it, and to look into its modules takes CAP_SYS_ADMIN';
  }
  return rung.attach === 'fentry' || rung.attach === 'kprobe'
    ? 'refused although the capabilities are there; the kernel is locked down'
    : 'refused although the capabilities are there';
}

function noAccess(rung: Rung, error: BpfError, permitted: Permissions): string {
  // What the verifier refuses has the same errno, but is no matter of permissions.
  if (error.operation === 'attach') {
    const missing = missingForPerf(permitted);
    if (missing !== undefined) return missing;
    const { held } = permitted;
    if (!held.has('CAP_DAC_READ_SEARCH') && !held.has('CAP_DAC_OVERRIDE')) {
      // A kernel that has kprobes elsewhere than in tracefs would have been asked there.
      return rung.attach === 'kprobe'
        ? 'this kernel has no kprobes but in tracefs, if at all, which is closed to this user'
        : 'tracefs is closed to this user; add CAP_DAC_READ_SEARCH';
    }
  }
  return `the kernel refused it${verifierWords(error)}${beforeCast(rung)}`;
}

/** What keeps this process from loading programs; undefined when it may. */
function missingForBpf(permitted: Permissions): string | undefined {
  if (permitted.inUserNamespace) {
    return 'BPF is not permitted in a user namespace; run outside of it, as root or with CAP_BPF and CAP_PERFMON';
  }
  const missing = (['CAP_BPF', 'CAP_PERFMON'] as const).filter((one) => !allows(permitted, one));
  const [only] = missing;
  if (only === undefined) return undefined;
  return missing.length === 1
    ? `BPF is not permitted here without ${only}; add it, or run as root`
    : 'BPF is not permitted here; run as root or with CAP_BPF and CAP_PERFMON';
}

/** What keeps this process from opening perf events; undefined when it may. */
function missingForPerf(permitted: Permissions): string | undefined {
  if (!perfEventsNeedAdmin(permitted) || permitted.held.has('CAP_SYS_ADMIN')) return undefined;
  return `kernel.perf_event_paranoid is ${permitted.perfEventParanoid}, which demands CAP_SYS_ADMIN for perf events; set it to 2, or add CAP_SYS_ADMIN`;
}

/** Until 5.11 a map's memory was charged to the user's limit of locked memory. */
function memoryLock(): string {
  return 'refused although CAP_BPF and CAP_PERFMON are there; kernels before 5.11 charge maps to RLIMIT_MEMLOCK: raise it (systemd: LimitMEMLOCK=infinity), or add CAP_SYS_RESOURCE';
}

function verifierWords(error: BpfError): string {
  // Up to this mark the verifier speaks, after it libbpf.
  const verifier = /^(.*)-- END PROG LOAD LOG/s.exec(error.log ?? '')?.[1];
  const line = (verifier ?? error.log)
    ?.split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('processed ') && !text.startsWith('--'))
    .at(-1);
  return line === undefined ? '' : ` (${line})`;
}

/** One plain sentence for whatever kept the programs from being loaded at all. */
export function explain(error: unknown): string {
  if (isBpfError(error)) return explainObject(error);
  if (!(error instanceof Error)) return String(error);
  // The first line says what is wrong and the last one what to do; between them are details.
  const lines = error.message.split('\n').map((line) => line.trim());
  return [...new Set([lines[0], lines.at(-1)])].join('. ');
}
