// What schemas of settings are made of, and how what zod finds wrong is worded: one line a problem.
// Knows no setting: see schema.ts and web_config.ts.

import * as z from 'zod';
import { alternatives, gotExpected, PROBLEMS_MAX, showPath } from './problem.ts';
import { didYouMean } from './suggest.ts';

/** A setting that cannot be used: its path and one line on what is wrong with it. */
export interface SettingProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Every problem once, and of very many the first. `root` is the schema that found them, for the names it
 * would have known.
 */
export function problemsIn(error: z.ZodError, root: z.ZodType): SettingProblem[] {
  const issues = error.issues.flatMap((issue): IssueOfKey[] =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ issue, key })) : [{ issue }],
  );
  const problems = new Map<string, SettingProblem>();
  for (const [i, one] of issues.entries()) {
    if (problems.size >= PROBLEMS_MAX) {
      problems.set('', { path: '', message: `and ${issues.length - i} more problems` });
      break;
    }
    const problem = problemOf(one, root);
    // A value can break two rules of one field (1.5 is neither whole nor in range): said once.
    problems.set(`${problem.path}: ${problem.message}`, problem);
  }
  return [...problems.values()];
}

/** A mapping whose settings are all optional; a key without a value is an empty mapping. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(
    (value) => value ?? {},
    z.strictObject(shape, { error: expecting('a mapping of settings') }),
  );
}

export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, {
    error: ({ input }) => {
      const message = gotExpected(input, alternatives(words));
      return typeof input === 'string' ? `${message}${didYouMean(input, words)}` : message;
    },
  });
}

export function flag() {
  return z.boolean({ error: expecting('true or false') });
}

export function expecting(expected: string) {
  return ({ input }: { readonly input?: unknown }) => gotExpected(input, expected);
}

interface IssueOfKey {
  readonly issue: z.core.$ZodIssue;
  /** Of the mapping's keys that nobody knows, one. */
  readonly key?: string;
}

function problemOf({ issue, key }: IssueOfKey, root: z.ZodType): SettingProblem {
  if (key === undefined) return { path: showPath(issue.path), message: issue.message };
  const known = keysAt(root, issue.path);
  const kind = showPath(issue.path) === 'probes' ? 'probe' : 'setting';
  return {
    path: showPath([...issue.path, key]),
    message: `unknown ${kind}${didYouMean(key, known) || `, expected one of ${alternatives(known)}`}`,
  };
}

/** The keys that the mapping at `path` may have. */
function keysAt(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = root;
  for (const step of path) at = new Map(Object.entries(shapeOf(at))).get(String(step));
  return Object.keys(shapeOf(at));
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> {
  const inner = schema instanceof z.ZodPipe ? schema.out : schema;
  return inner instanceof z.ZodObject ? inner.shape : {};
}
