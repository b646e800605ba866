// Where the kernel's file systems are mounted, so that tests can put trees of other machines in their
// place. Reads nothing.

export interface Roots {
  readonly proc: string;
  readonly sys: string;
  /** Where /proc/interrupts is, if not in `proc`: the runtimes of containers hide it there. */
  readonly interrupts?: string | undefined;
}

export const HOST_ROOTS: Roots = {
  proc: '/proc',
  sys: '/sys',
  interrupts: process.env.RXSCOPE_INTERRUPTS_FILE,
};
