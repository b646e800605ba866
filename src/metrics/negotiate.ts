// Chooses the encoder for a scrape from its Accept header (RFC 9110, 12.5.1).
// Never refuses: what it does not understand gets text 0.0.4, which everything reads.

import type { Snapshot } from './model.ts';
import { encodeOpenMetrics, OPENMETRICS_CONTENT_TYPE } from './openmetrics.ts';
import { encodeProtobuf, PROTOBUF_CONTENT_TYPE } from './protobuf.ts';
import { encodeText, TEXT_CONTENT_TYPE } from './text.ts';

export interface Encoder {
  readonly contentType: string;
  encode(snapshot: Snapshot): Uint8Array;
}

/**
 * The encoder that the header ranks highest. Between equals one that is named wins over one that
 * only a wildcard matches, then the one named first; wildcards alone mean text.
 *
 * Prometheus 3 adds `escaping=allow-utf-8` or another scheme to each type: any will do and none
 * needs an answer, since all our names are of the set that no scheme changes.
 */
export function encoderFor(accept: string | undefined): Encoder {
  const ranges = (accept ?? '').split(',').flatMap(parseRange);
  let best: Encoder = TEXT;
  let bestRank: Rank = NOT_ACCEPTED;
  for (const offer of OFFERS) {
    const rank = rankOf(offer, ranges);
    if (isHigher(rank, bestRank)) {
      best = offer.encoder;
      bestRank = rank;
    }
  }
  return best;
}

const TEXT: Encoder = { contentType: TEXT_CONTENT_TYPE, encode: encodeText };

interface Offer {
  readonly encoder: Encoder;
  readonly type: string;
  /** Parameters that a range may ask for, and must where marked so. */
  readonly parameters: Readonly<Record<string, { value: string; required: boolean }>>;
}

/** Text comes first: it stays when the others rank no higher. */
const OFFERS: readonly Offer[] = [
  {
    encoder: TEXT,
    type: 'text/plain',
    parameters: { version: { value: '0.0.4', required: false } },
  },
  {
    encoder: { contentType: OPENMETRICS_CONTENT_TYPE, encode: encodeOpenMetrics },
    type: 'application/openmetrics-text',
    parameters: { version: { value: '1.0.0', required: false } },
  },
  {
    // The type alone may mean any message in any framing, so it must say ours.
    encoder: { contentType: PROTOBUF_CONTENT_TYPE, encode: encodeProtobuf },
    type: 'application/vnd.google.protobuf',
    parameters: {
      proto: { value: 'io.prometheus.client.MetricFamily', required: true },
      encoding: { value: 'delimited', required: true },
    },
  },
];

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

interface Rank {
  readonly quality: number;
  /** 2 for the type itself, 1 for a part of it, 0 for anything. */
  readonly specificity: number;
  /** Where in the header it stands. */
  readonly position: number;
}

const NOT_ACCEPTED: Rank = { quality: 0, specificity: -1, position: 0 };

/** An offer's quality is that of the most specific range that matches it. */
function rankOf(offer: Offer, ranges: readonly MediaRange[]): Rank {
  let rank = NOT_ACCEPTED;
  ranges.forEach((range, position) => {
    const specificity = specificityFor(offer, range);
    const { quality } = range;
    if (
      specificity > rank.specificity ||
      (specificity === rank.specificity && quality > rank.quality)
    ) {
      rank = { quality, specificity, position };
    }
  });
  return rank;
}

/** -1 where the range does not match the offer. */
function specificityFor(offer: Offer, range: MediaRange): number {
  if (range.type === '*/*') return 0;
  // `application/*` names none of ours: it must not bring protobuf to a browser or to curl.
  if (range.type === 'text/*') return offer.type === 'text/plain' ? 1 : -1;
  if (range.type !== offer.type) return -1;
  for (const [name, { value, required }] of Object.entries(offer.parameters)) {
    const asked = range.parameters.get(name);
    if (asked === undefined ? required : asked !== value) return -1;
  }
  return 2;
}

function isHigher(a: Rank, b: Rank): boolean {
  if (a.quality !== b.quality) return a.quality > b.quality;
  // Nothing that is refused (q=0) can win.
  if (a.quality === 0) return false;
  if (a.specificity !== b.specificity) return a.specificity > b.specificity;
  return a.specificity > 0 && a.position < b.position;
}

/** One media range, or none where the text is no media range. */
function parseRange(text: string): MediaRange[] {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  if (!/^[^\s/]+\/[^\s/]+$/.test(type)) return [];
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const [, name = '', value = ''] = /^([^=\s]+)\s*=\s*"?([^"]*)"?$/.exec(parameter) ?? [];
    parameters.set(name.toLowerCase(), value);
  }
  return [{ type: type.toLowerCase(), parameters, quality: qualityOf(parameters.get('q')) }];
}

/** A missing or senseless weight counts as 1, as if it had not been sent. */
function qualityOf(text: string | undefined): number {
  return text !== undefined && /^(0(\.\d*)?|1(\.0*)?)$/.test(text) ? Number(text) : 1;
}
