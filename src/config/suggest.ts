// Guesses which known word a mistyped one was meant to be. Pure.
// It rather stays silent than name a word that merely exists.

/** The closest of `candidates`, or undefined when none is close. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const typed = normalized(word);
  // Nobody types 64 letters right and one wrong.
  if (typed.length > 64) return undefined;
  let best: string | undefined;
  let bestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = editsBetween(typed, normalized(candidate));
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** `; did you mean X?`, or nothing: to be put behind a message. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const guess = suggest(word, candidates);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}

/** Case and the choice of what stands between words are no typos worth counting. */
function normalized(word: string): string {
  return word
    .toLowerCase()
    .replace(/^--/, '')
    .replaceAll(/[-.\s]/g, '_');
}

/** How far apart the words are, or infinity when one is no misspelling of the other. */
function editsBetween(typed: string, candidate: string): number {
  const edits = editDistance(typed, candidate);
  // Past 40 % of the longer word two words are different ones rather than one mistyped.
  if (edits <= 0.4 * Math.max(typed.length, candidate.length)) return edits;
  // `irq`, `receive` and even `recieve` are meant as abbreviations of a probe.
  const beginning = candidate.slice(0, typed.length);
  const editsAllowed = typed.length >= 5 ? 1 : 0;
  const abbreviates = typed.length >= 3 && editDistance(typed, beginning) <= editsAllowed;
  return abbreviates ? edits : Number.POSITIVE_INFINITY;
}

/** Levenshtein's distance, with two swapped letters as one edit. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const viaSwap = swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(replaced, at(i - 1, j) + 1, at(i, j - 1) + 1, viaSwap));
    }
  }
  return at(a.length, b.length);
}
