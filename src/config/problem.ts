// How configuration errors are worded and thrown: one line a problem, all problems at once.
// WHERE: what stands there, what is expected. Nothing is printed here.

/** The configuration cannot be used. `message` holds all of `problems`, one a line. */
export class ConfigError extends Error {
  /** Each is one line that names the file or flag, the setting, its value and what is expected. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `got "inof", expected one of …`: the middle of every such message. */
export function gotExpected(value: unknown, expected: string): string {
  return `got ${show(value)}, expected ${expected}`;
}

/** `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`;
}

/** Where a setting stands, as people write it: `web.listen_address`. */
export function showPath(path: readonly PropertyKey[]): string {
  return path
    .map((step) => shortened(String(step)))
    .map((step) => (/^[\w-]+$/.test(step) ? step : JSON.stringify(step)))
    .join('.');
}

/** Whoever reads twenty problems has seen what kind of file it is. */
export const PROBLEMS_MAX = 20;

/** The first of them, and a last one that says how many are left out. */
export function firstOf<T>(problems: readonly T[], rest: (more: number) => T): T[] {
  const more = problems.length - PROBLEMS_MAX;
  return more > 0 ? [...problems.slice(0, PROBLEMS_MAX), rest(more)] : [...problems];
}

/** 60 characters are enough to recognize a value and leave the message readable. */
const SHOWN_CHARS_MAX = 60;

function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value);
  return shortened(jsonOf(value));
}

function shortened(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX - 1)}…`;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value, cut) ?? String(value);
  } catch {
    // YAML can say that a mapping contains itself, which JSON cannot.
    return 'a mapping that contains itself';
  }
}

/** No more of a text or a list than is shown: a megabyte may stand in a hundred places. */
function cut(_key: string, value: unknown): unknown {
  return typeof value === 'string' || Array.isArray(value)
    ? value.slice(0, SHOWN_CHARS_MAX)
    : value;
}
