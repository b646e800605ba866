// What is changed in a script's text for a bpftrace or a kernel that it does not fit as it is.

import { isAtLeast, tracefsMounted } from './find.ts';

/**
 * Before Linux 6.3 there is no tracepoint sock:sk_data_ready. The nearest is the function that most
 * sockets are told by; sockets with one of their own (some of the kernel's) are then not seen.
 */
const SOCKET: readonly (readonly [string, string])[] = [
  ['tracepoint:sock:sk_data_ready', 'kprobe:sock_def_readable'],
  ['args->skaddr', 'arg0'],
  ['args->family', '((struct sock *)arg0)->__sk_common.skc_family'],
  ['args->protocol', '((struct sock *)arg0)->sk_protocol'],
];

/** The text to try next, or undefined when no other one would help. */
export function adapt(
  text: string,
  stderr: string,
  tracefs: boolean = tracefsMounted(),
): string | undefined {
  const missing = stderr
    .split('\n')
    .some(
      (line) =>
        /not found|[Nn]o (?:tracepoint|probe|matches for)/.test(line) &&
        line.includes('sk_data_ready'),
    );
  // Without tracefs every tracepoint is missing, and the function would not help.
  if (!missing || !tracefs || !text.includes('tracepoint:sock:sk_data_ready')) return undefined;
  return SOCKET.reduce((changed, [from, to]) => changed.replaceAll(from, to), text);
}

/**
 * Has the script print its maps on SIGUSR1. Up to 0.21 bpftrace does so by itself; 0.22 lets a
 * script say what the signal does, and 0.27 does nothing unless it is said.
 */
export function printOnSignal(text: string, version: string): string {
  if (!isAtLeast(version, '0.22')) return text;
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const maps = [...new Set(code.match(/@\w+/g) ?? [])].sort();
  const prints = maps.map((map) => `\tprint(${map});`);
  return `${text}\nself:signal:SIGUSR1\n{\n${prints.join('\n')}\n}\n`;
}
