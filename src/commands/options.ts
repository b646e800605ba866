// What a command hands on once its command line is understood: plain, validated data.

import type { Attach } from '../capture/hooks.ts';
import type { Config } from '../config/schema.ts';

export interface RecordOptions {
  readonly config: Config;
  readonly durationMs: number;
  /** JSON on stdout instead of tables. */
  readonly json: boolean;
  /** Stream every observation and compute quantiles from all of them. */
  readonly exact: boolean;
}

export interface ProbesOptions {
  readonly config: Config;
  /** Try only this way of attaching. */
  readonly rung?: Attach | 'bpftrace';
  readonly json: boolean;
}

export interface TraceOptions {
  /** Name of a bundled script, such as `packet_latency`. */
  readonly script: string;
  readonly durationMs: number;
  readonly json: boolean;
}
