/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The bucket of a latency, in constant time and without a loop. Plain C: a test runs it on the
 * host against the TypeScript of src/histogram/bounds.ts. The includer brings __u32, __u64 and
 * __always_inline, and counts what is longer than RXSCOPE_LATENCY_MAX_NS instead of asking here.
 */
#ifndef RXSCOPE_BUCKET_H
#define RXSCOPE_BUCKET_H

#include "bounds.gen.h"

/* The compiler must not reason about v across this point: it would drop a check that it can prove
 * and the verifier cannot, or do the check on a copy of the register that is used. */
#define RXSCOPE_OPAQUE(v) asm volatile("" : "+r"(v))

/* floor(log2(v)) for 0 < v < 2^63; 0 for 0. BPF at v3 has neither clz nor a set-on-compare: the
 * borrow of a subtraction says "greater" without a branch, so the verifier sees one path only. */
static __always_inline __u64 rxscope_log2(__u64 v)
{
	__u64 log = 0, step;

	step = ((0xffffffffULL - v) >> 63) << 5;
	v >>= step;
	log |= step;
	step = ((0xffffULL - v) >> 63) << 4;
	v >>= step;
	log |= step;
	step = ((0xffULL - v) >> 63) << 3;
	v >>= step;
	log |= step;
	step = ((0xfULL - v) >> 63) << 2;
	v >>= step;
	log |= step;
	step = ((0x3ULL - v) >> 63) << 1;
	v >>= step;
	log |= step;
	return log | ((0x1ULL - v) >> 63);
}

/* The lowest i with ns <= rxscope_thresholds_ns[i], for ns <= RXSCOPE_LATENCY_MAX_NS. The result
 * is below RXSCOPE_BUCKETS for any ns, so that no argument can make a caller write out of bounds. */
static __always_inline __u32 rxscope_bucket(__u64 ns)
{
	__u64 log = rxscope_log2(ns);
	/* (ns << 4) >> log is 16 + m: the top bit always, then the four bits below it. */
	__u64 cell = (log << 4) | (((ns << 4) >> log) & 15);
	__u64 bucket;

	RXSCOPE_OPAQUE(cell);
	/* Longer than 2^34 ns, which the includer has refused: for the verifier only. */
	if (cell >= RXSCOPE_CELLS)
		return RXSCOPE_BUCKETS - 1;
	bucket = rxscope_first_guess[cell];

	RXSCOPE_OPAQUE(bucket);
	/* Nothing lies above the last bucket. */
	if (bucket >= RXSCOPE_BUCKETS - 1)
		return RXSCOPE_BUCKETS - 1;
	return bucket + (ns > rxscope_thresholds_ns[bucket]);
}

#endif
