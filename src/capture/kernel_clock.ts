// The clock that the programs read (bpf_ktime_get_ns: CLOCK_MONOTONIC as it is without any time namespace),
// beside the clocks of this process. The one place where times of the kernel meet those of user space.

import { readFileSync, statSync } from 'node:fs';

/** include/linux/proc_ns.h, PROC_TIME_INIT_INO: the namespace whose clock is the kernel's own. */
const INITIAL_TIME_NAMESPACE = 0xeffffffa;

/** Now, in nanoseconds, as the kernel stamps it. */
export function kernelNowNs(): number {
  return Number(process.hrtime.bigint() - offset());
}

/** Wall clock in milliseconds of something that the kernel stamped a moment ago: both clocks are read now. */
export function wallClockMs(kernelNs: number): number {
  return Date.now() - (kernelNowNs() - kernelNs) / 1e6;
}

let known: bigint | undefined;

/** Read once: a process with several threads cannot go into another time namespace. */
function offset(): bigint {
  known ??= monotonicOffsetNs();
  return known;
}

/** By how much this process's CLOCK_MONOTONIC is ahead of the kernel's. */
export function monotonicOffsetNs(proc = '/proc'): bigint {
  let offsets: string;
  try {
    // The file tells of the namespace that children get, which may be one that this process is not in.
    if (statSync(`${proc}/self/ns/time`).ino === INITIAL_TIME_NAMESPACE) return 0n;
    offsets = readFileSync(`${proc}/self/timens_offsets`, 'utf8');
  } catch {
    // Before Linux 5.6, or built without: there is only one clock.
    return 0n;
  }
  const [, seconds, nanoseconds] = /^monotonic\s+(-?\d+)\s+(\d+)$/m.exec(offsets) ?? [];
  if (seconds === undefined || nanoseconds === undefined) return 0n;
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
