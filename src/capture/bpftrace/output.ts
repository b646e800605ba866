// What `bpftrace -f json` prints, one JSON object a line, checked and given a shape. Pure.
// What the kernel holds in strings need not be UTF-8: each byte is a character here (latin1), and whoever
// shows it decides. Unknown kinds are handed on as they are: a newer bpftrace may print more than this knows.

import * as z from 'zod';

/** Observations in `min` to `max`, both included. The lowest and the highest may be open. */
export interface Bucket {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly count: number;
}

export type MapValue = number | string | boolean | null | readonly unknown[];

/** `key` is '' where the map has no key, and `a,b` where it has two. */
export type ScriptOutput =
  | { readonly type: 'attached_probes'; readonly probes: number }
  | { readonly type: 'printf'; readonly text: string }
  | { readonly type: 'lost_events'; readonly events: number }
  | {
      readonly type: 'map';
      readonly name: string;
      readonly rows: readonly { readonly key: string; readonly value: MapValue }[];
    }
  | {
      readonly type: 'hist';
      readonly name: string;
      readonly rows: readonly { readonly key: string; readonly buckets: readonly Bucket[] }[];
    }
  | { readonly type: 'other'; readonly kind: string; readonly data: unknown };

const bucket = z.object({
  min: z.number().optional(),
  max: z.number().optional(),
  count: z.number().int().nonnegative(),
});
const value = z.union([z.number(), z.string(), z.boolean(), z.null(), z.array(z.unknown())]);
const line = z.object({ type: z.string(), data: z.unknown() });
const mapData = z.record(z.string(), z.union([value, z.record(z.string(), value)]));
const histData = z.record(
  z.string(),
  z.union([z.array(bucket), z.record(z.string(), z.array(bucket))]),
);

/** Throws a ScriptOutputError for what is no output of `bpftrace -f json`. */
export function parseOutput(text: string): ScriptOutput[] {
  let json: unknown;
  try {
    json = JSON.parse(withBytes(text));
  } catch {
    throw new ScriptOutputError(`not JSON: ${shown(text)}`);
  }
  const { type, data } = checked(line, json, text);
  switch (type) {
    case 'attached_probes': {
      const { probes } = checked(z.object({ probes: z.number() }), data, text);
      return [{ type, probes }];
    }
    case 'lost_events': {
      const { events } = checked(z.object({ events: z.number() }), data, text);
      return [{ type, events }];
    }
    case 'printf':
      // The script's own words.
      return [{ type, text: Buffer.from(checked(z.string(), data, text), 'latin1').toString() }];
    case 'map':
      return Object.entries(checked(mapData, data, text)).map(([name, content]) => ({
        type,
        name,
        rows: rowsOf(content).map(([key, of]) => ({ key, value: of })),
      }));
    case 'hist':
      return Object.entries(checked(histData, data, text)).map(([name, content]) => ({
        type,
        name,
        rows: (Array.isArray(content) ? [['', content] as const] : Object.entries(content)).map(
          ([key, buckets]) => ({ key, buckets }),
        ),
      }));
    default:
      return [{ type: 'other', kind: type, data }];
  }
}

export class ScriptOutputError extends Error {}

/** bpftrace 0.17 writes bytes above 0x7f as `\uffffffc3`, which in JSON is another character and text. */
function withBytes(text: string): string {
  return text.replace(/\\(?:uffffff([0-9a-f]{2})|.)/g, (whole, byte: string | undefined) =>
    byte === undefined ? whole : `\\u00${byte}`,
  );
}

function rowsOf(
  content: z.output<typeof value> | Record<string, z.output<typeof value>>,
): (readonly [string, z.output<typeof value>])[] {
  return typeof content === 'object' && content !== null && !Array.isArray(content)
    ? Object.entries(content)
    : [['', content]];
}

function checked<T>(schema: z.ZodType<T>, data: unknown, text: string): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  throw new ScriptOutputError(`${result.error.issues[0]?.message ?? 'unexpected'}: ${shown(text)}`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
