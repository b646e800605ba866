// Writes bpf/numbers.gen.h: what the programs and TypeScript number alike, from the catalogue of probes and
// the constants of src/capture.
// Run: npx tsx tools/generate_numbers.ts > bpf/numbers.gen.h

import { fileURLToPath } from 'node:url';
import { FATES, FLAWS } from '../src/capture/books.ts';
import { POLL_BOUNDS } from '../src/capture/reading.ts';
import {
  NO_DEVICE,
  RECORD_DROP,
  RECORD_OBSERVATION,
  RECORD_OUTLIER,
} from '../src/capture/records.ts';
import {
  DEVICE_FIRST,
  DEVICE_OTHER_NETNS,
  DEVICE_OVERFLOW,
  IRQ_FIRST,
  IRQ_OVERFLOW,
  IRQ_SLOTS,
  PROBES_ALL,
  PROTOCOLS,
  REASON_FIRST,
  REASON_OVERFLOW,
  REASON_SLOTS,
  roomFor,
  VECTORS_ALL,
} from '../src/capture/slots.ts';
import { CATALOGUE, PROBES } from '../src/probes/index.ts';

/** The whole text of bpf/numbers.gen.h. */
export function numbersHeader(): string {
  return `/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Generated from src/probes and src/capture. Do not edit; run
 *   npx tsx tools/generate_numbers.ts > bpf/numbers.gen.h
 */
#ifndef RXSCOPE_NUMBERS_GEN_H
#define RXSCOPE_NUMBERS_GEN_H

#include <stdbool.h>

/* The latency probes: src/probes/index.ts. */
${enumOf('probe_index', [...PROBES.map(({ id }) => id), 'PROBES', `PROBES_ALL = ${PROBES_ALL}`])}

/* What is on. Set once, before the programs are loaded: what is off is no code then. */
${CATALOGUE.map(({ id }) => `const volatile bool ${id}_on = true;`).join('\n')}

/*
 * Why something that a probe saw is no sample of it. The first is common to all: negative, or beyond 16 s.
 * The others are the probe's own: \`causes\` of src/probes/<id>.ts.
 */
${enumOf('flaw', ['FLAW_CLOCK', 'FLAW_OWN', `FLAWS = ${FLAWS}`])}

${PROBES.filter(({ causes }) => causes.length > 0)
  .map(({ id, causes }) => enumOf(`${id}_flaw`, ofProbe(id, causes)))
  .join('\n\n')}

/* Of packets: src/capture/slots.ts. */
${enumOf('protocol_class', [...named('PROTOCOL', PROTOCOLS), 'PROTOCOLS'])}

/* What became of a packet that reached no socket queue that we could see: src/capture/books.ts. */
${enumOf('fate', [...named('FATE', FATES), 'FATES', `FATES_ALL = ${roomFor(FATES.length)}`])}

/* Slots of one CPU: src/capture/slots.ts. */
${defines({
  DEVICE_OVERFLOW,
  DEVICE_OTHER_NETNS,
  DEVICE_FIRST,
  IRQ_OVERFLOW,
  IRQ_FIRST,
  IRQS: IRQ_SLOTS - IRQ_FIRST,
  REASON_OVERFLOW,
  REASON_FIRST,
  REASONS: REASON_SLOTS,
  VECTORS_ALL,
  POLL_BUCKETS: POLL_BOUNDS.length + 1,
})}

/* In records: src/capture/records.ts. */
${defines({ RECORD_OUTLIER, RECORD_OBSERVATION, RECORD_DROP, NO_DEVICE })}

#endif
`;
}

function ofProbe(id: string, causes: readonly string[]): string[] {
  return named(id, causes).map((name, i) => (i === 0 ? `${name} = FLAW_OWN` : name));
}

function named(prefix: string, names: readonly string[]): string[] {
  return names.map((name) => `${prefix}_${name}`.toUpperCase());
}

function enumOf(name: string, constants: readonly string[]): string {
  const lines = constants.map((constant) => `\t${constant.toUpperCase()},`);
  return `enum ${name} {\n${lines.join('\n')}\n};`;
}

function defines(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `#define ${name} ${value}`)
    .join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(numbersHeader());
}
