// Counts that the kernel keeps in 32 bits and prints as they are: those of /proc/net/softnet_stat,
// /proc/softirqs and /proc/interrupts (`unsigned int`, also in Linux 7.2). At 100,000 softirqs a second
// one wraps in 12 hours. Only the arithmetic: the last counts are the caller's.

const WRAP = 2 ** 32;

/**
 * By how much a count rose from `last` to `now`: across one wrap too, if it rose by less than 2^31. One
 * that fell otherwise has begun anew from 0 and rose by `now`: its interrupt number has another owner,
 * or its flow limit was taken off and laid on again. A kernel that counts further is followed as well.
 */
export function risen32(last: number, now: number): number {
  if (now >= last) return now - last;
  const wrapped = now + WRAP - last;
  return wrapped >= 0 && wrapped < WRAP / 2 ? wrapped : now;
}
