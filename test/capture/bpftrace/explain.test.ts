// What bpftrace 0.17 wrote to stderr when something was missing, and the sentence made of it.

import { describe, expect, test } from 'vitest';
import { adapt, printOnSignal } from '../../../src/capture/bpftrace/adapt.ts';
import { explainBpftrace } from '../../../src/capture/bpftrace/explain.ts';

const MEMLOCK =
  'ERROR: Unknown error -1: couldn\'t set RLIMIT_MEMLOCK for bpftrace. If your program is not loading, you can try "ulimit -l 8192" to fix the problem\n';
const NO_TRACEPOINT = `irq_to_softirq.bt:46:1-38: ERROR: tracepoint not found: irq:irq_handler_exit
tracepoint:irq:irq_handler_exit { @irq_at[cpu] = (uint64)0; }
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~`;

test.each([
  {
    title: 'tracefs is not mounted',
    stderr: NO_TRACEPOINT,
    tracefs: false,
    says: /tracefs is not mounted.*mount -t tracefs tracefs \/sys\/kernel\/tracing/,
  },
  {
    title: 'a tracepoint that the kernel does not have',
    stderr: NO_TRACEPOINT,
    says: /this kernel has no tracepoint irq:irq_handler_exit/,
  },
  {
    title: 'the same in the words of 0.27',
    stderr: 'stdin:1:1-31: ERROR: No matches for tracepoint sock:sk_data_ready.',
    says: /this kernel has no tracepoint sock:sk_data_ready$/,
  },
  {
    title: 'another user than root in the words of 0.27',
    stderr: 'ERROR: Missing CAP_DAC_READ_SEARCH capability, please run bpftrace as the root user.',
    says: /runs only as root/,
  },
  {
    title: 'tracefs in the words of 0.27',
    stderr:
      'ERROR: Failed to open kernel function info: Error reading events from /sys/kernel/tracing/available_events (No such file or directory)',
    tracefs: false,
    says: /tracefs is not mounted; mount it with/,
  },
  {
    title: 'another user than root',
    stderr: 'ERROR: bpftrace currently only supports running as the root user.',
    says: /runs only as root; start rxscope as root/,
  },
  {
    title: 'root without capabilities',
    stderr: `ERROR: failed to create  map: Operation not permitted
Creation of the required BPF maps has failed.
Make sure you have all the required permissions and are not confined (e.g. like
snapcraft does). \`dmesg\` will likely have useful output for further troubleshooting`,
    says: /CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN/,
  },
  {
    title: 'root without CAP_SYS_ADMIN, which then finds no types',
    stderr: `definitions.h:38:24: error: field has incomplete type 'enum skb_drop_reason'
definitions.h:38:8: note: forward declaration of 'enum skb_drop_reason'`,
    says: /kernel's types.*CAP_SYS_ADMIN/,
  },
  {
    title: 'a locked-down kernel',
    stderr: `ERROR: Kernel lockdown is enabled and set to 'confidentiality'. Lockdown mode blocks
parts of BPF which makes it impossible for bpftrace to function. Please see
https://github.com/iovisor/bpftrace/blob/master/INSTALL.md#disable-lockdown
for more details on lockdown and how to disable it.`,
    says: /locked down \(confidentiality\)/,
  },
  {
    title: 'a kernel without kprobes',
    stderr: `stdin:1:1-25: WARNING: sock_def_readable is not traceable (either non-existing, inlined, or marked as "notrace"); attaching to it will likely fail
kprobe:sock_def_readable { @=count() }
~~~~~~~~~~~~~~~~~~~~~~~~
create_probe_event: open(/sys/kernel/tracing/kprobe_events): No such file or directory
ERROR: Error attaching probe: 'kprobe:sock_def_readable'`,
    says: /needs kprobes, and this kernel has none/,
  },
  {
    title: 'a kernel without fentry',
    stderr: 'stdin:1:1-24: ERROR: kfunc/kretfunc not available for your kernel version.',
    says: /cannot attach to functions by fentry/,
  },
  {
    title: 'an event that lacks a member',
    stderr:
      "stdin:1:33-44: ERROR: Struct/union of type 'struct _tracepoint_sock_sk_data_ready' does not contain a field named 'foo'",
    says: /has no member foo/,
  },
  {
    title: 'a script that this bpftrace cannot read',
    stderr: 'stdin:1:9-15: ERROR: Unknown function: nofunc',
    says: /does not understand the script \(Unknown function: nofunc\)/,
  },
  {
    title: 'a bpftrace without its libraries',
    stderr:
      '/usr/bin/bpftrace: error while loading shared libraries: libbpf.so.1: cannot open shared object file: No such file or directory',
    says: /cannot be run.*libbpf\.so\.1/,
  },
  {
    title: 'what nobody foresaw: its own first error',
    stderr: 'WARNING: odd\nERROR: the moon is full',
    says: /^bpftrace says: ERROR: the moon is full$/,
  },
  { title: 'nothing at all', stderr: '', says: /ended without saying why/ },
])('$title', ({ stderr, tracefs = true, says }) => {
  expect(explainBpftrace(MEMLOCK + stderr, { tracefs })).toMatch(says);
});

const SCRIPT = `tracepoint:sock:sk_data_ready /args->family == 2 || args->family == 10/
{ @[args->protocol] = count(); }`;
const NO_DATA_READY = 'ERROR: tracepoint not found: sock:sk_data_ready';

test.each([NO_DATA_READY, 'ERROR: No matches for tracepoint sock:sk_data_ready.'])(
  'a kernel without sk_data_ready gets the function that tells most sockets: %s',
  (stderr) => {
    const text = adapt(SCRIPT, stderr, true);
    expect(text?.split('\n')[0]).toBe(
      'kprobe:sock_def_readable /((struct sock *)arg0)->__sk_common.skc_family == 2 || ((struct sock *)arg0)->__sk_common.skc_family == 10/',
    );
    expect(text).toContain('@[((struct sock *)arg0)->sk_protocol]');
    expect(text).not.toContain('args');
  },
);

test.each([
  { title: 'tracefs is missing', text: SCRIPT, stderr: NO_DATA_READY, tracefs: false },
  {
    title: 'another one is missing',
    text: SCRIPT,
    stderr: 'ERROR: tracepoint not found: net:netif_receive_skb',
    tracefs: true,
  },
  {
    title: 'the script does not use it',
    text: 'BEGIN { exit(); }',
    stderr: NO_DATA_READY,
    tracefs: true,
  },
])('no text is made up where $title', ({ text, stderr, tracefs }) => {
  expect(adapt(text, stderr, tracefs)).toBeUndefined();
});

describe('a script prints its maps on a signal', () => {
  const text = '/* @no_map */ BEGIN { @b = 1; @a[cpu] = count(); @b = 2; }\n';

  test.each(['0.17.0', '0.21.3'])('by itself with bpftrace %s', (version) => {
    expect(printOnSignal(text, version)).toBe(text);
  });

  test.each(['0.22.0', '0.27.1', '1.0'])('because it is told to with bpftrace %s', (version) => {
    expect(printOnSignal(text, version)).toBe(
      `${text}\nself:signal:SIGUSR1\n{\n\tprint(@a);\n\tprint(@b);\n}\n`,
    );
  });
});
