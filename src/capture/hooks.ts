// The kernel events that the probes hook, each with its ladder: the ways of attaching to it, the
// truest and cheapest first. One program of a hook is loaded. No decision is taken here.

/** How a program is attached. */
export type Attach = 'tp_btf' | 'raw_tp' | 'tracepoint' | 'fentry' | 'kprobe';

export interface Rung {
  /** Name of the program in bpf/rxscope.bpf.c. */
  readonly program: string;
  readonly attach: Attach;
  /** The tracepoint or function, as the kernel calls it. */
  readonly target: string;
}

export interface Hook {
  readonly name: string;
  readonly rungs: readonly Rung[];
}

/** A tracepoint's three rungs. Typed pointers first; classic ones need tracefs and cost most. */
function tracepoint(hook: string, group: string, name: string): Rung[] {
  return [
    { program: `${hook}__tp_btf`, attach: 'tp_btf', target: name },
    { program: `${hook}__raw_tp`, attach: 'raw_tp', target: name },
    { program: `${hook}__tp`, attach: 'tracepoint', target: `${group}:${name}` },
  ];
}

/**
 * In the order of attaching: what ends a measurement comes before what begins it, so that nothing
 * begins whose end could be missed, and an interrupt's exit before its entry.
 */
export const HOOKS: readonly Hook[] = [
  { name: 'irq_handler_exit', rungs: tracepoint('irq_handler_exit', 'irq', 'irq_handler_exit') },
  { name: 'softirq_exit', rungs: tracepoint('softirq_exit', 'irq', 'softirq_exit') },
  { name: 'softirq_entry', rungs: tracepoint('softirq_entry', 'irq', 'softirq_entry') },
  { name: 'softirq_raise', rungs: tracepoint('softirq_raise', 'irq', 'softirq_raise') },
  { name: 'irq_handler_entry', rungs: tracepoint('irq_handler_entry', 'irq', 'irq_handler_entry') },
  {
    name: 'data_ready',
    rungs: [
      ...tracepoint('data_ready', 'sock', 'sk_data_ready'),
      // Kernels before 6.3 have no such tracepoint.
      { program: 'data_ready__fentry', attach: 'fentry', target: 'sock_def_readable' },
      { program: 'data_ready__kprobe', attach: 'kprobe', target: 'sock_def_readable' },
    ],
  },
  { name: 'drop', rungs: tracepoint('drop', 'skb', 'kfree_skb') },
  { name: 'tcp_segment', rungs: tracepoint('tcp_segment', 'tcp', 'tcp_probe') },
  { name: 'receive', rungs: tracepoint('receive', 'net', 'netif_receive_skb') },
];
