// Encodes a snapshot as OpenMetrics 1.0.0: as text 0.0.4, with units and exemplars.
// It has no native histograms: those need protobuf.

import { ByteWriter } from './byte_writer.ts';
import { fittingLabels, newestByBucket } from './exemplars.ts';
import {
  escapeQuoted,
  formatValue,
  labelPairs,
  writeHistogram,
  writeScalar,
} from './exposition.ts';
import type { Exemplar, Family, HistogramSample, Snapshot } from './model.ts';
import { baseName, unitOf } from './names.ts';

export const OPENMETRICS_CONTENT_TYPE =
  'application/openmetrics-text; version=1.0.0; charset=utf-8';

export function encodeOpenMetrics(snapshot: Snapshot): Uint8Array {
  const out = new ByteWriter();
  for (const family of snapshot) writeFamily(out, family);
  out.text('# EOF\n');
  return out.finish();
}

function writeFamily(out: ByteWriter, family: Family): void {
  if (family.samples.length === 0) return;
  const name = baseName(family);
  const unit = unitOf(family);
  out.text(`# HELP ${name} ${escapeQuoted(family.help)}\n# TYPE ${name} ${family.type}\n`);
  if (unit !== undefined) out.text(`# UNIT ${name} ${unit}\n`);
  if (family.type === 'histogram') {
    for (const sample of family.samples) {
      writeHistogram(out, name, sample, exemplarTexts(sample));
    }
  } else {
    // A counter's family is named without the suffix, its samples with it.
    const sampleName = family.type === 'counter' ? `${name}_total` : name;
    for (const sample of family.samples) writeScalar(out, sampleName, sample);
  }
}

function exemplarTexts(sample: HistogramSample): (string | undefined)[] {
  if (sample.exemplars === undefined || sample.exemplars.length === 0) return [];
  const newest = newestByBucket(sample.classic.bounds, sample.exemplars);
  return newest.map((exemplar) => (exemplar === undefined ? undefined : exemplarText(exemplar)));
}

function exemplarText(exemplar: Exemplar): string {
  const pairs = labelPairs(fittingLabels(exemplar.labels));
  const seconds = formatValue(exemplar.timestampMs / 1000);
  return ` # {${pairs}} ${formatValue(exemplar.value)} ${seconds}`;
}
