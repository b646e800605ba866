// The agent's log: one JSON object a line on stderr, or one readable line on a terminal.

import { inspect } from 'node:util';
import { type Logger, pino } from 'pino';
import type { Config } from '../config/schema.ts';
import { withoutControls } from '../host/device_names.ts';
import { type Colors, colorsFor } from '../terminal/colors.ts';

/** `destination` is a LogOutput but for tests. */
export function createLog(
  settings: Config['log'],
  destination: { write(line: string): unknown; readonly isTTY?: boolean },
): Logger {
  const pretty =
    settings.format === 'pretty' || (settings.format === 'auto' && destination.isTTY === true);
  const colors = colorsFor(destination);
  const options = { level: settings.level, base: null, timestamp };
  return pino(options, {
    write: (line: string) => {
      destination.write(pretty ? readable(line, colors) : line);
    },
  });
}

/** RFC 3339 with milliseconds, as log collectors like it. */
function timestamp(): string {
  return `,"time":"${new Date().toISOString()}"`;
}

const LEVELS: Readonly<Record<number, (colors: Colors) => string>> = {
  10: ({ gray }) => gray('trace'),
  20: ({ gray }) => gray('debug'),
  30: ({ green }) => green('info'),
  40: ({ yellow }) => yellow('warn'),
  50: ({ red }) => red('error'),
  60: ({ red }) => red('fatal'),
};

/** `04:05:06 warn probe is up, with less detail probe=… reason=…` */
function readable(line: string, colors: Colors): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as {
    level: number;
    time: string;
    msg?: string;
    [field: string]: unknown;
  };
  const fields = Object.entries(rest).map(([key, value]) => {
    // Inspected text has its controls escaped already.
    const text =
      typeof value === 'string'
        ? withoutControls(value)
        : inspect(value, { breakLength: Infinity });
    return ` ${colors.dim(`${key}=`)}${text}`;
  });
  const name = LEVELS[level]?.(colors) ?? level;
  return `${colors.dim(time.slice(11, 19))} ${name} ${msg ?? ''}${fields.join('')}\n`;
}
