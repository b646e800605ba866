// Guesses of mistyped words, and the words that must not be guessed at.

import { describe, expect, test } from 'vitest';
import { suggest } from '../../src/config/suggest.ts';

const PROBES = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'];
const SETTINGS = ['profile', 'probes', 'web', 'log', 'strict', 'series_max'];

describe('suggest', () => {
  test.each([
    ['recieve_to_socket', 'receive_to_socket'],
    ['receive-to-socket', 'receive_to_socket'],
    ['Receive To Socket', 'receive_to_socket'],
    ['irq2softirq', 'irq_to_softirq'],
    ['irq', 'irq_to_softirq'],
    ['recieve', 'receive_to_socket'],
  ])('guesses that %s was meant as %s', (typed, meant) => {
    expect(suggest(typed, PROBES)).toBe(meant);
  });

  test.each(['', 'x', 'tcp', 'socket', 'doctor', 'x'.repeat(100_003)])(
    'makes no guess about %j',
    (typed) => {
      expect(suggest(typed, SETTINGS)).toBeUndefined();
    },
  );

  test('prefers the closest of two close words', () => {
    expect(suggest('probs', ['probe', 'probes'])).toBe('probe');
    expect(suggest('probess', ['probe', 'probes'])).toBe('probes');
  });
});
