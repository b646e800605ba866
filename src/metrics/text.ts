// Encodes a snapshot as Prometheus text 0.0.4, the default that every scraper reads.
// It has no exemplars and no native histograms: those need the other two formats.

import { ByteWriter } from './byte_writer.ts';
import { escapeLine, writeHistogram, writeScalar } from './exposition.ts';
import type { Family, Snapshot } from './model.ts';

export const TEXT_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function encodeText(snapshot: Snapshot): Uint8Array {
  const out = new ByteWriter();
  for (const family of snapshot) writeFamily(out, family);
  return out.finish();
}

function writeFamily(out: ByteWriter, family: Family): void {
  // A family without samples has nothing to say, and protobuf has no place to say it.
  if (family.samples.length === 0) return;
  const { name } = family;
  out.text(`# HELP ${name} ${escapeLine(family.help)}\n# TYPE ${name} ${family.type}\n`);
  if (family.type === 'histogram') {
    for (const sample of family.samples) writeHistogram(out, name, sample);
  } else {
    for (const sample of family.samples) writeScalar(out, name, sample);
  }
}
