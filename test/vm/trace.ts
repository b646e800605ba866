// Replays irq_to_softirq over the kernel's trace of the events that define it. Shares nothing with
// the BPF programs: it works on text, after the fact. Times are microseconds, as ftrace prints them.
// Where handlers run in threads, the raise comes from a task that the kernel calls irq/NUMBER-NAME.

/** A served raise, and between which events of the trace its two ends must lie. */
export interface Served {
  readonly irq: number;
  readonly cpu: number;
  /** Entry of the interrupt's handler, and the raise. */
  readonly fromUs: readonly [least: number, most: number];
  /** Entry of the softirq, and its exit. */
  readonly untilUs: readonly [least: number, most: number];
  /** Another interrupt raised before this one's softirq was over, or this one raised during another softirq. */
  readonly disturbed: boolean;
}

export interface Replay {
  /** In order of time on each CPU. */
  readonly served: readonly Served[];
  /** Raises by an interrupt while an earlier one's was still unserved. */
  readonly alreadyRaised: number;
  /** Raises outside any interrupt handler: loopback, the budget, ksoftirqd … */
  readonly raisedElsewhere: number;
  /** How often each interrupt's handler ran. */
  readonly handled: ReadonlyMap<number, number>;
}

/** `trace` holds irq_handler_entry and _exit of all interrupts, the softirq events of NET_RX only. */
export function replay(trace: string): Replay {
  const served: Served[] = [];
  const handled = new Map<number, number>();
  let alreadyRaised = 0;
  let raisedElsewhere = 0;
  const cpus = new Map<number, Cpu>();
  /** By interrupt: since when its thread has had a reason to run that has not led to a raise. */
  const left = new Map<number, number>();
  for (const { cpu, us, name, argument, threadOf } of events(trace)) {
    const state = cpus.get(cpu) ?? {};
    cpus.set(cpu, state);
    if (name === 'irq_handler_entry') {
      state.handler = { irq: argument, us };
      handled.set(argument, (handled.get(argument) ?? 0) + 1);
      if (!left.has(argument)) left.set(argument, us);
    } else if (name === 'irq_handler_exit') {
      delete state.handler;
    } else if (name === 'softirq_raise') {
      const behind = state.handler ?? threadOf;
      const fromUs = typeof behind === 'number' ? left.get(behind) : behind?.us;
      const irq = typeof behind === 'number' ? behind : behind?.irq;
      if (typeof behind === 'number') left.delete(behind);
      if (irq === undefined || fromUs === undefined) {
        raisedElsewhere++;
        continue;
      }
      const { running, serving, raised } = state;
      if (serving !== undefined) serving.disturbed = true;
      if (raised === undefined) {
        state.raised = { irq, fromUs: [fromUs, us], disturbed: running === true };
      } else {
        raised.disturbed = true;
        alreadyRaised++;
      }
    } else if (name === 'softirq_entry') {
      state.running = true;
      if (state.raised !== undefined) state.serving = { ...state.raised, us };
      delete state.raised;
    } else if (name === 'softirq_exit') {
      state.running = false;
      if (state.serving !== undefined) {
        const { us: entryUs, ...raise } = state.serving;
        served.push({ ...raise, cpu, untilUs: [entryUs, us] });
      }
      delete state.serving;
    }
  }
  return { served, alreadyRaised, raisedElsewhere, handled };
}

interface Cpu {
  handler?: { irq: number; us: number };
  raised?: Raise;
  /** A softirq, whoever raised it. */
  running?: boolean;
  serving?: Raise & { us: number };
}

interface Raise {
  readonly irq: number;
  readonly fromUs: readonly [number, number];
  disturbed: boolean;
}

interface TraceEvent {
  readonly cpu: number;
  readonly us: number;
  readonly name: string;
  /** The number of the interrupt or the vector. */
  readonly argument: number;
  /** The interrupt whose thread was running. */
  readonly threadOf: number | undefined;
}

/** `  <idle>-0  [001] d.h1.  12.345678: irq_handler_entry: irq=30 name=virtio2-input.0` */
function* events(trace: string): Generator<TraceEvent> {
  const held = /entries-in-buffer\/entries-written: (\d+)\/(\d+)/.exec(trace);
  if (held === null || held[1] !== held[2]) throw new Error(`the trace lost events: ${held?.[0]}`);
  for (const line of trace.split('\n')) {
    const match = /^ *(\S.*)-\d+ +\[(\d+)\] \S+ +(\d+)\.(\d{6}): (\w+): (?:irq|vec)=(\d+)/.exec(
      line,
    );
    if (match === null) continue;
    const [, task = '', cpu, seconds, fraction, name = '', argument] = match;
    const thread = /^irq\/(\d+)-/.exec(task);
    yield {
      cpu: Number(cpu),
      us: Number(seconds) * 1e6 + Number(fraction),
      name,
      argument: Number(argument),
      threadOf: thread === null ? undefined : Number(thread[1]),
    };
  }
}
