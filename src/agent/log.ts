// The agent's log: one JSON object a line on stderr, or one readable line on a terminal.

import { inspect } from 'node:util';
import pc from 'picocolors';
import { type Logger, pino } from 'pino';
import type { Config } from '../config/schema.ts';

/** `destination` is stderr but for tests. */
export function createLog(
  settings: Config['log'],
  destination: NodeJS.WritableStream & { isTTY?: boolean } = process.stderr,
): Logger {
  const pretty =
    settings.format === 'pretty' || (settings.format === 'auto' && destination.isTTY === true);
  const options = { level: settings.level, base: null, timestamp: timestamp };
  return pino(options, {
    write: (line: string) => {
      destination.write(pretty ? readable(line) : line);
    },
  });
}

/** RFC 3339 with milliseconds, as log collectors like it. */
function timestamp(): string {
  return `,"time":"${new Date().toISOString()}"`;
}

const LEVELS: Readonly<Record<number, string>> = {
  10: pc.gray('trace'),
  20: pc.gray('debug'),
  30: pc.green('info'),
  40: pc.yellow('warn'),
  50: pc.red('error'),
  60: pc.red('fatal'),
};

/** `04:05:06 warn probe is up, with less detail probe=… reason=…` */
function readable(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as {
    level: number;
    time: string;
    msg?: string;
    [field: string]: unknown;
  };
  const fields = Object.entries(rest).map(([key, value]) => {
    const text = typeof value === 'string' ? value : inspect(value, { breakLength: Infinity });
    return ` ${pc.dim(`${key}=`)}${text}`;
  });
  return `${pc.dim(time.slice(11, 19))} ${LEVELS[level] ?? level} ${msg ?? ''}${fields.join('')}\n`;
}
