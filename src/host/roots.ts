// Where the kernel's file systems are mounted, so that tests can put trees of other machines in their
// place. Reads nothing.

export interface Roots {
  readonly proc: string;
  readonly sys: string;
}

export const HOST_ROOTS: Roots = { proc: '/proc', sys: '/sys' };
