// How much a settings file may say, found before the YAML parser works on it: some of what that does takes
// quadratic time, and a recursion for each level. Pure, and linear in what is read until a bound is reached.

import { Lexer, Parser } from 'yaml';

/** Words, marks, spaces and lines: those of a web configuration with 2,000 users. */
export const PIECES_MAX = 20_000;
/** No setting is nested more than four deep. */
export const DEPTH_MAX = 32;
/** Written out, each is copied wherever it stands. */
export const ALIASES_MAX = 100;

/** What is too much, and up to where the text was read; undefined for what a configuration may be. */
export function beyondBounds(
  text: string,
): { readonly offset: number; readonly message: string } | undefined {
  const parser = new Parser();
  let pieces = 0;
  let aliases = 0;
  for (const piece of new Lexer().lex(text)) {
    const { offset } = parser;
    // Its tokens are thrown away: what is wanted is how deep it stands.
    for (const _token of parser.next(piece));
    // Each escape in quotes can be a problem of its own.
    pieces += 1 + (piece.startsWith('"') ? piece.split('\\').length - 1 : 0);
    if (piece.startsWith('*')) aliases += 1;
    if (pieces > PIECES_MAX) {
      const message = `more than ${PIECES_MAX} words and marks, expected a configuration; check the path`;
      return { offset, message };
    }
    if (parser.stack.length > DEPTH_MAX) {
      return { offset, message: `nested more than ${DEPTH_MAX} deep, expected 5 levels at most` };
    }
    if (aliases > ALIASES_MAX) return { offset, message: TOO_MANY_ALIASES };
  }
  return undefined;
}

export const TOO_MANY_ALIASES = 'too many aliases; write the values out';
