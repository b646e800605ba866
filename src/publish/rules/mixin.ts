// The rules as a jsonnet mixin. The same rules as everywhere, written with variables for what can be
// chosen: each is a mark in the text first, and then a `%(name)s` of jsonnet's string formatting.

import { alertGroups } from './alerts.ts';
import { DURATION_UNITS_MS, formatDuration } from './duration.ts';
import { anyOf, LOSS_REASONS } from './loss_reasons.ts';
import type { RuleGroup } from './model.ts';
import { STANDARD_OPTIONS, THRESHOLD_NAMES, THRESHOLDS, WINDOW_STANDARD_MS } from './options.ts';
import { recordingGroups } from './recording.ts';
import { anchor, type Terms } from './terms.ts';

/** Marks of private use, which no rule contains: a variable, and the parts of `either`. */
const [OPEN, CLOSE] = ['\uE000', '\uE001'];
const [EITHER, OR, END] = ['\uE002', '\uE003', '\uE004'];

export function mixin(): string {
  const times = new Map<string, number>();
  const terms = marks(times);
  // Written before the times are: it finds out which there are.
  const alerts = groupsOf(alertGroups(terms));
  const rules = groupsOf(recordingGroups(terms));
  return `// Made by \`rxscope rules\`; change _config rather than this file:
//   (import 'mixin.libsonnet') + { _config+:: { rxscopeSelector: 'job="net"', softirqMax: '0.6' } }
{
  _config+:: {
    // What stands between the braces of every selector.
    rxscopeSelector: 'job="${STANDARD_OPTIONS.job}"',
    // auto, native or classic: which form of histogram the expressions read.
    rxscopeHistograms: '${STANDARD_OPTIONS.histograms}',
    // The window of rates in seconds; all other times are in proportion.
    rxscopeWindowSeconds: ${WINDOW_STANDARD_MS / 1000},
    // The anchor of an alert's section is appended.
    rxscopeRunbookUrl: '${STANDARD_OPTIONS.runbookUrl}',
    // Drop reasons that mean loss: an alternation of regular expressions, escaped for PromQL.
    rxscopeLossReasons: ${text(anyOf(Object.keys(LOSS_REASONS)))},
${THRESHOLD_NAMES.map(thresholdLines).join('\n')}
  },

  local config = $._config,
  local duration(ms) =
    local step(sum, unit) = {
      rest: sum.rest % unit[1],
      text: sum.text + (if sum.rest >= unit[1] then std.floor(sum.rest / unit[1]) + unit[0] else ''),
    };
    std.foldl(step, ${JSON.stringify(DURATION_UNITS_MS).replaceAll('"', "'").replaceAll(',', ', ')}, { rest: std.floor(ms + 0.5), text: '' }).text,
  local time(seconds) = duration(seconds * 1000 * config.rxscopeWindowSeconds / ${WINDOW_STANDARD_MS / 1000}),
  local interval(seconds) = duration(std.min(seconds * 1000 * config.rxscopeWindowSeconds / ${WINDOW_STANDARD_MS / 1000}, seconds * 1000)),
  local either(native, classic) =
    if config.rxscopeHistograms == 'native' then native
    else if config.rxscopeHistograms == 'classic' then classic
    else '(\\n  ' + native + '\\nor\\n  ' + classic + '\\n)',
  local values = config {
${[...times].map(valueLine).join('\n')}
  },

  prometheusAlerts+:: {
    groups+: ${alerts},
  },

  prometheusRules+:: {
    groups+: ${rules},
  },
}
`;
}

/** A time, or an interval: its name says which. */
function valueLine([name, seconds]: readonly [string, number]): string {
  return `    ${name}: ${name.replace(/_.*/, '')}(${seconds}),`;
}

function thresholdLines(name: keyof typeof THRESHOLDS): string {
  const { what, standard } = THRESHOLDS[name];
  return `    // ${what}\n    ${name}: '${standard}',`;
}

/** Collects in `times` which times there are. */
function marks(times: Map<string, number>): Terms {
  const mark = (name: string): string => `${OPEN}${name}${CLOSE}`;
  return {
    selector: mark('rxscopeSelector'),
    time: (seconds) => {
      const name = `time_${formatDuration(seconds * 1000)}`;
      times.set(name, seconds);
      return mark(name);
    },
    interval: (seconds) => {
      const name = `interval_${formatDuration(seconds * 1000)}`;
      times.set(name, seconds);
      return mark(name);
    },
    threshold: mark,
    percent: mark,
    lossReasons: mark('rxscopeLossReasons'),
    either: (native, classic) => `${EITHER}${native}${OR}${classic}${END}`,
    runbookUrl: (alert) => `${mark('rxscopeRunbookUrl')}#${anchor(alert)}`,
  };
}

function groupsOf(groups: readonly RuleGroup[]): string {
  return literal(groups, '    ');
}

/** A value of jsonnet, as jsonnetfmt lays it out. */
function literal(value: unknown, indent: string): string {
  if (typeof value === 'string') return formatted(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => `${inner}${literal(item, inner)},\n`);
    return `[\n${items.join('')}${indent}]`;
  }
  const fields = Object.entries(value as Readonly<Record<string, unknown>>).map(
    ([name, field]) => `${inner}${name === 'for' ? "'for'" : name}: ${literal(field, inner)},\n`,
  );
  return `{\n${fields.join('')}${indent}}`;
}

/** A string, filled in where it has variables. */
function formatted(marked: string): string {
  const pattern = new RegExp(`^([^]*)${EITHER}([^]*)${OR}([^]*)${END}([^]*)$`);
  const parts = pattern.exec(marked)?.slice(1);
  if (parts === undefined)
    return marked.includes(OPEN) ? `${filled(marked)} % values` : text(marked);
  const [before = '', native = '', classic = '', after = ''] = parts;
  const either = `either(${filled(native)}, ${filled(classic)})`;
  const all = [
    ...(before === '' ? [] : [filled(before)]),
    either,
    ...(after === '' ? [] : [filled(after)]),
  ];
  return `(${all.join(' + ')}) % values`;
}

/** For jsonnet's operator %, in which a percent sign is written twice. */
function filled(marked: string): string {
  const escaped = marked.replaceAll('%', '%%');
  return text(escaped.replaceAll(OPEN, '%(').replaceAll(CLOSE, ')s'));
}

function text(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n');
  return `'${escaped}'`;
}
