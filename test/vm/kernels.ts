// The kernels of the matrix, and what is known beforehand of each. A table, no logic but the choice.

import type { Attach } from '../../src/capture/hooks.ts';

export interface Kernel {
  /** The row's name in the matrix. */
  readonly name: string;
  /** Debian's image as guest.sh takes it; absent: the kernel that this machine runs. */
  readonly series?: string;
  /** More of its command line. */
  readonly arguments?: string;
  /** Runs in every `npm test`, not only in `npm run test:vm`. */
  readonly always: boolean;
  /** Rungs that it may refuse, with a reason that it must give. */
  readonly mayRefuse: readonly Attach[];
  /** It has network cards to which this process can send, and a trace of its own as the witness. */
  readonly cards: boolean;
  /** Locked down so far that programs may not copy the kernel's memory, and tracefs is empty. */
  readonly confidential: boolean;
  /** Interrupt handlers run in threads of their own: PREEMPT_RT, threadirqs. */
  readonly threadedInterrupts: boolean;
  /**
   * What a real-time task keeps from running on its CPU, and so delays softirqs: nothing; ksoftirqd,
   * once it has work; or the interrupts' threads. Since 6.5 a softirq no longer waits for a ksoftirqd
   * that is woken but does not run (d15121be7485, "Revert "softirq: Let ksoftirqd do its job"").
   */
  readonly starves: 'nothing' | 'ksoftirqd' | 'interrupt threads';
  /** NAPI of veth, and threads for it, are newer than 5.10. */
  readonly napiThreads: boolean;
  /** PREEMPT_RT has none. */
  readonly busyPolling: boolean;
  /** What RPS sends to a CPU is handled by a thread there: PREEMPT_RT since 6.10. */
  readonly backlogThreads: boolean;
}

const GUEST = {
  always: false,
  mayRefuse: [],
  cards: true,
  confidential: false,
  threadedInterrupts: false,
  starves: 'nothing',
  napiThreads: true,
  busyPolling: true,
  backlogThreads: false,
} as const;

const THREADED = { threadedInterrupts: true, starves: 'interrupt threads' } as const;

const KERNELS: readonly Kernel[] = [
  {
    ...GUEST,
    name: 'this machine',
    always: true,
    mayRefuse: ['fentry', 'kprobe'],
    cards: false,
  },
  {
    ...GUEST,
    name: '5.10 cloud',
    series: 'bullseye-security:5.10-cloud',
    starves: 'ksoftirqd',
    napiThreads: false,
  },
  { ...GUEST, name: '6.1', series: '6.1', always: true, starves: 'ksoftirqd' },
  { ...GUEST, ...THREADED, name: '6.1 rt', series: '6.1-rt', busyPolling: false },
  { ...GUEST, name: '6.12 cloud', series: '6.12-cloud', always: true },
  {
    ...GUEST,
    name: '6.12 cloud, confidential',
    series: '6.12-cloud',
    arguments: 'lockdown=confidentiality',
    always: true,
    mayRefuse: ['kprobe', 'raw_tp', 'tracepoint'],
    cards: false,
    confidential: true,
  },
  {
    ...GUEST,
    ...THREADED,
    name: '6.12 cloud, threadirqs',
    series: '6.12-cloud',
    arguments: 'threadirqs',
  },
  {
    ...GUEST,
    ...THREADED,
    name: '6.12 rt',
    series: '6.12-rt',
    busyPolling: false,
    backlogThreads: true,
  },
  { ...GUEST, name: '6.18 cloud', series: 'trixie-backports:6.18-cloud' },
  { ...GUEST, name: '7.2 cloud', series: 'sid:7.2-cloud' },
];

/** Those of this run: all with RXSCOPE_KERNELS=all, those of a list with semicolons, or the usual. */
export function chosenKernels(choice = process.env.RXSCOPE_KERNELS): readonly Kernel[] {
  if (choice === 'all') return KERNELS;
  if (choice === undefined || choice === '') return KERNELS.filter(({ always }) => always);
  const names = choice.split(';').map((name) => name.trim());
  const unknown = names.filter((name) => !KERNELS.some((kernel) => kernel.name === name));
  if (unknown.length > 0) {
    const known = KERNELS.map(({ name }) => `'${name}'`).join(', ');
    throw new Error(`RXSCOPE_KERNELS: no kernel '${unknown.join("', '")}'; there are ${known}`);
  }
  return KERNELS.filter(({ name }) => names.includes(name));
}
