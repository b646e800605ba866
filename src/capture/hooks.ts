// The kernel events that the probes hook, each with its ladder: the ways of attaching to it, the
// truest and cheapest first. One program of a hook is loaded. No decision is taken here.

/** How a program can be attached. */
export const ATTACHES = ['fentry', 'kprobe', 'tp_btf', 'raw_tp', 'tracepoint'] as const;
export type Attach = (typeof ATTACHES)[number];

export interface Rung {
  /** Name of the program in bpf/hooks_*.h: `<hook>__<rung>`. */
  readonly program: string;
  readonly attach: Attach;
  /** The tracepoint or function, as the kernel calls it. */
  readonly target: string;
}

export interface Hook {
  readonly name: string;
  readonly rungs: readonly Rung[];
}

/** Programs that reach memory through bpf_rdonly_cast (6.2) stand before those that copy it. */
const CAST = '_cast';

/** Does the rung's program use bpf_rdonly_cast? */
export function casts({ program }: Rung): boolean {
  return program.endsWith(CAST);
}

/** A tracepoint's rungs. Typed pointers first; classic ones need tracefs and cost most. */
function tracepoint(hook: string, group: string, name: string): Rung[] {
  return [
    { program: `${hook}__tp_btf`, attach: 'tp_btf', target: name },
    { program: `${hook}__raw_tp`, attach: 'raw_tp', target: name },
    { program: `${hook}__tp`, attach: 'tracepoint', target: `${group}:${name}` },
  ];
}

/** A tracepoint's rungs but the classic one. */
function modern(hook: string, name: string): Rung[] {
  return tracepoint(hook, '', name).filter(({ attach }) => attach !== 'tracepoint');
}

/** A function's rungs: a call from its first instruction, else a breakpoint there. */
function entry(hook: string, target: string): Rung[] {
  return [
    { program: `${hook}__fentry`, attach: 'fentry', target },
    { program: `${hook}__kprobe`, attach: 'kprobe', target },
  ];
}

/** Before a ladder, its first rung once more: the program of it that casts. */
function orCast([first, ...others]: readonly Rung[]): Rung[] {
  if (first === undefined) return [];
  return [{ ...first, program: `${first.program}${CAST}` }, first, ...others];
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
    // Kernels before 6.3 have no such tracepoint.
    rungs: [
      ...orCast(tracepoint('data_ready', 'sock', 'sk_data_ready')),
      ...orCast(entry('data_ready', 'sock_def_readable')),
    ],
  },
  { name: 'drop', rungs: orCast(tracepoint('drop', 'skb', 'kfree_skb')) },
  { name: 'socket_read', rungs: tracepoint('socket_read', 'skb', 'skb_copy_datagram_iovec') },
  { name: 'udp_read', rungs: entry('udp_read', 'skb_consume_udp') },
  // Classic ones name no task by its address.
  { name: 'task_switch', rungs: modern('task_switch', 'sched_switch') },
  { name: 'task_waking', rungs: modern('task_waking', 'sched_waking') },
  { name: 'napi_poll', rungs: tracepoint('napi_poll', 'napi', 'napi_poll') },
  { name: 'napi_poll_begin', rungs: entry('napi_poll_begin', '__napi_poll') },
  // The functions that queue a packet name it and its socket; tcp_probe does nearly as much.
  { name: 'udp_queue', rungs: entry('udp_queue', '__udp_enqueue_schedule_skb') },
  { name: 'raw_queue', rungs: entry('raw_queue', '__sock_queue_rcv_skb') },
  {
    name: 'tcp_segment',
    rungs: [
      ...entry('tcp_segment', 'tcp_queue_rcv'),
      ...tracepoint('tcp_segment', 'tcp', 'tcp_probe'),
    ],
  },
  { name: 'tcp_data', rungs: orCast(entry('tcp_data', 'tcp_data_queue')) },
  { name: 'receive', rungs: orCast(tracepoint('receive', 'net', 'netif_receive_skb')) },
  {
    name: 'backlog_enqueue',
    rungs: [
      ...entry('backlog_enqueue', 'enqueue_to_backlog'),
      ...tracepoint('backlog_enqueue', 'net', 'netif_rx'),
    ],
  },
];

/**
 * The ladders for `rxscope probes --try`: only this way of attaching, where it can be. With a way to
 * attach to tracepoints, all hooks stand on it and functions are left out; with one to attach to
 * functions, hooks that have no function keep their usual ladder.
 */
export function forceRung(hooks: readonly Hook[], attach: Attach): Hook[] {
  const isFunction = attach === 'fentry' || attach === 'kprobe';
  return hooks.flatMap((hook) => {
    const rungs = hook.rungs.filter((rung) => rung.attach === attach);
    if (rungs.length > 0) return [{ ...hook, rungs }];
    return isFunction ? [hook] : [];
  });
}
