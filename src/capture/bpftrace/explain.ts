// Turns what bpftrace writes to stderr into one plain sentence: what is wrong and what to do. Pure.

import { MOUNT_TRACEFS } from './names.ts';

export interface Surroundings {
  /** Whether the kernel's list of tracepoints can be seen; bpftrace itself does not tell. */
  readonly tracefs: boolean;
}

interface Rule {
  readonly says: RegExp;
  explain(match: RegExpExecArray, surroundings: Surroundings): string;
}

/** The first that fits is taken: causes before what follows from them. */
const RULES: readonly Rule[] = [
  {
    says: /only supports running as the root user|please run bpftrace as the root user/,
    explain: () => 'bpftrace runs only as root; start rxscope as root',
  },
  {
    says: /[Ll]ockdown[^\n]*confidentiality|[Kk]ernel lockdown is enabled/,
    explain: () =>
      'the kernel is locked down (confidentiality) and bpftrace refuses to run; use --backend libbpf, or boot with lockdown=integrity',
  },
  {
    says: /Operation not permitted|EPERM|[Pp]ermission denied/,
    explain: () =>
      'bpftrace may not use BPF here; run as root with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN',
  },
  {
    // bpftrace 0.17 names the file, later ones the function.
    says: /kprobe_events\): No such file|No matches for k(?:ret)?probe (\w+)/,
    explain: (match, { tracefs }) =>
      tracefs
        ? `the script needs kprobes, and this kernel has none${match[1] === undefined ? '' : ` for ${match[1]}`} (CONFIG_KPROBES); run it under another kernel`
        : `tracefs is not mounted; mount it with \`${MOUNT_TRACEFS}\``,
  },
  {
    says: /incomplete type '|Unknown struct\/union: '(?!struct _tracepoint)/,
    explain: () =>
      "bpftrace finds none of the kernel's types (BTF); run as root with CAP_SYS_ADMIN, on a kernel with /sys/kernel/btf/vmlinux",
  },
  {
    says: /tracepoints? not found: (\S+)|[Tt]racepoint '?([\w:*]+)'? (?:was )?not found|No matches for tracepoint ([\w:*]+)|No probes to attach/,
    explain: (match, { tracefs }) =>
      tracefs
        ? `this kernel has no tracepoint ${match[1] ?? match[2] ?? match[3] ?? 'of the script'}`
        : `tracefs is not mounted; mount it with \`${MOUNT_TRACEFS}\``,
  },
  {
    says: /tracing\/available_(events|filter_functions)|Could not (open|read)[^\n]*tracing/,
    explain: (_match, { tracefs }) =>
      tracefs
        ? 'bpftrace cannot read tracefs; is it mounted with the right permissions?'
        : `tracefs is not mounted; mount it with \`${MOUNT_TRACEFS}\``,
  },
  {
    says: /kfunc\/kretfunc not available|fentry[^\n]*not available/,
    explain: () => 'this bpftrace or kernel cannot attach to functions by fentry (kfunc)',
  },
  {
    says: /(?:Error attaching probe: '?|[Uu]nable to attach probe: )(k(?:ret)?probe:[\w.]+)/,
    explain: (match) =>
      `this kernel has no function for ${match[1]}, or no kprobes, or is locked down`,
  },
  {
    says: /(?:Error attaching probe: '?|[Uu]nable to attach probe: )([\w:.]+)/,
    explain: (match) => `the kernel refused ${match[1]}`,
  },
  {
    says: /does not contain a field named '(\w+)'/,
    explain: (match) => `this kernel's event has no member ${match[1]}, which the script reads`,
  },
  {
    says: /(syntax error[^\n]*|Unknown function: \w+|Unknown builtin[^\n]*|Can not access field[^\n]*)/,
    explain: (match) =>
      `this bpftrace does not understand the script (${match[1]}); it is too old, or too new`,
  },
  {
    says: /failed to execute|error while loading shared libraries[^\n]*/,
    explain: (match) => `bpftrace cannot be run: ${match[0]}`,
  },
];

/** One sentence for a failed run. Where nothing is recognised, bpftrace's own first error. */
export function explainBpftrace(stderr: string, surroundings: Surroundings): string {
  const text = relevant(stderr);
  for (const { says, explain } of RULES) {
    const match = says.exec(text);
    if (match !== null) return explain(match, surroundings);
  }
  const line = text.split('\n').find((candidate) => /ERROR|[Ee]rror/.test(candidate));
  const words = (line ?? text.split('\n')[0] ?? '').trim();
  return words === '' ? 'bpftrace ended without saying why' : `bpftrace says: ${words}`;
}

/** Whether what it complains of may be over a moment later; see passing.ts for libbpf's. */
export function isPassing(stderr: string): boolean {
  return /\bE(?:AGAIN|INTR|BUSY|NOMEM)\b|Resource temporarily unavailable|Interrupted system call|Device or resource busy|Cannot allocate memory|std::bad_alloc/.test(
    relevant(stderr),
  );
}

/** Without what is said on every start and means nothing: see RLIMIT_MEMLOCK in bpf(2). */
export function relevant(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => !/RLIMIT_MEMLOCK|WARNING: (?:Addrspace|Could not read functions)/.test(line))
    .join('\n')
    .trim();
}
