/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Generated from src/probes and src/capture. Do not edit; run
 *   npx tsx tools/generate_numbers.ts > bpf/numbers.gen.h
 */
#ifndef RXSCOPE_NUMBERS_GEN_H
#define RXSCOPE_NUMBERS_GEN_H

#include <stdbool.h>

/* The latency probes: src/probes/index.ts. */
enum probe_index {
	IRQ_TO_SOFTIRQ,
	SOFTIRQ_TO_SOCKET,
	RECEIVE_TO_SOCKET,
	SOFTIRQ_RAISE_TO_ENTRY,
	BACKLOG_WAIT,
	SOCKET_TO_READ,
	WAKEUP_TO_RUN,
	NAPI_POLL,
	HARDIRQ_DURATION,
	SOFTIRQ_DURATION,
	PROBES,
	PROBES_ALL = 16,
};

/* What is on. Set once, before the programs are loaded: what is off is no code then. */
const volatile bool irq_to_softirq_on = true;
const volatile bool softirq_to_socket_on = true;
const volatile bool receive_to_socket_on = true;
const volatile bool softirq_raise_to_entry_on = true;
const volatile bool backlog_wait_on = true;
const volatile bool socket_to_read_on = true;
const volatile bool wakeup_to_run_on = true;
const volatile bool napi_poll_on = true;
const volatile bool hardirq_duration_on = true;
const volatile bool softirq_duration_on = true;
const volatile bool drops_on = true;

/*
 * Why something that a probe saw is no sample of it. The first is common to all: negative, or beyond 16 s.
 * The others are the probe's own: `causes` of src/probes/<id>.ts.
 */
enum flaw {
	FLAW_CLOCK,
	FLAW_OWN,
	FLAWS = 9,
};

enum irq_to_softirq_flaw {
	IRQ_TO_SOFTIRQ_ALREADY_RAISED = FLAW_OWN,
};

enum softirq_to_socket_flaw {
	SOFTIRQ_TO_SOCKET_OUTSIDE_SOFTIRQ = FLAW_OWN,
	SOFTIRQ_TO_SOCKET_SOCKET_BACKLOG,
	SOFTIRQ_TO_SOCKET_THREADED_NAPI,
	SOFTIRQ_TO_SOCKET_BUSY_POLL,
	SOFTIRQ_TO_SOCKET_ATTACHED_MIDWAY,
};

enum softirq_raise_to_entry_flaw {
	SOFTIRQ_RAISE_TO_ENTRY_NO_RAISE = FLAW_OWN,
};

enum backlog_wait_flaw {
	BACKLOG_WAIT_DROPPED = FLAW_OWN,
	BACKLOG_WAIT_LOST,
	BACKLOG_WAIT_TABLE_FULL,
};

enum socket_to_read_flaw {
	SOCKET_TO_READ_MERGED = FLAW_OWN,
	SOCKET_TO_READ_NOT_READ,
	SOCKET_TO_READ_TABLE_FULL,
	SOCKET_TO_READ_NOT_FOLLOWED,
};

enum wakeup_to_run_flaw {
	WAKEUP_TO_RUN_AWAKE = FLAW_OWN,
	WAKEUP_TO_RUN_TABLE_FULL,
	WAKEUP_TO_RUN_UNSEEN,
};

enum napi_poll_flaw {
	NAPI_POLL_THREADED_NAPI = FLAW_OWN,
	NAPI_POLL_BUSY_POLL,
};

/* Of packets: src/capture/slots.ts. */
enum protocol_class {
	PROTOCOL_TCP,
	PROTOCOL_UDP,
	PROTOCOL_OTHER,
	PROTOCOLS,
};

/* What became of a packet that reached no socket queue that we could see: src/capture/books.ts. */
enum fate {
	FATE_DROPPED,
	FATE_NO_SOCKET,
	FATE_NO_PAYLOAD,
	FATE_SYN_DATA,
	FATE_TCP_NOT_READY,
	FATE_OUT_OF_ORDER,
	FATE_FRAGMENT,
	FATE_OTHER_PROTOCOL,
	FATE_NOT_QUEUED,
	FATE_QUEUED_BY_OTHER_CPU,
	FATE_TABLE_FULL,
	FATES,
	FATES_ALL = 16,
};

/* Slots of one CPU: src/capture/slots.ts. */
#define DEVICE_OVERFLOW 0
#define DEVICE_OTHER_NETNS 1
#define DEVICE_FIRST 2
#define IRQ_OVERFLOW 0
#define IRQ_FIRST 1
#define IRQS 16
#define REASON_OVERFLOW 0
#define REASON_FIRST 1
#define REASONS 64
#define VECTORS_ALL 16
#define POLL_BUCKETS 11

/* In records: src/capture/records.ts. */
#define RECORD_OUTLIER 1
#define RECORD_OBSERVATION 2
#define RECORD_DROP 3
#define NO_DEVICE 255

#endif
