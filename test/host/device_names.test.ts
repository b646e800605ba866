// Bytes that others chose, as text: that different bytes stay different, that nothing controls a terminal, and
// that a device's bytes can be had again.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  deviceName,
  nameBytes,
  nameWithin,
  shownBytes,
  withoutControls,
} from '../../src/host/device_names.ts';

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

describe('a device whose name is', () => {
  test.each([
    ['plain', latin1('eth0-1.5'), 'eth0-1.5'],
    ['UTF-8', Buffer.from('unicodeé'), 'unicodeé'],
    ['Latin-1', latin1('caf\xe9'), 'caf\\xe9'],
    ['another one in Latin-1', latin1('caf\xe8'), 'caf\\xe8'],
    ['cut in the middle of an umlaut', latin1('fourteen_bytes\xc3'), 'fourteen_bytes\\xc3'],
    ['UTF-8 of four bytes', Buffer.from('x😀'), 'x😀'],
    ['UTF-8 that is too long', latin1('a\xc0\x80b'), 'a\\xc0\\x80b'],
    ['a half of a pair', latin1('\xed\xa0\x80'), '\\xed\\xa0\\x80'],
    ['ESC and BEL', latin1('\x1b[31m\x07'), '\\x1b[31m\\x07'],
    ['a control of eight bits', Buffer.from('a\u009bb'), 'a\\xc2\\x9bb'],
    ['marked with a byte order', Buffer.from('\ufeffeth0'), '\\xef\\xbb\\xbfeth0'],
    ['from right to left', Buffer.from('a\u202eb'), 'a\\xe2\\x80\\xaeb'],
    ['with a backslash', latin1('a\\b'), 'a\\b'],
    ['like an escape', latin1('caf\\xe9'), 'caf\\x5cxe9'],
    ['one of our sums', latin1('(other)'), '\\x28other)'],
    ['nearly one of our sums', latin1('a(other)'), 'a(other)'],
    ['like ours, escaped', latin1('\\x28other)'), '\\x5cx28other)'],
  ])('%s', (_, bytes, shown) => {
    expect(deviceName(bytes)).toBe(shown);
    expect(nameBytes(shown)).toEqual(Buffer.from(bytes));
  });
});

test('whatever the bytes, they are had again, and what is shown controls nothing', () => {
  const byte = fc.oneof(fc.constantFrom(0x5c, 0x78, 0x65, 0x39, 0x28, 0xc3, 0xa9), fc.nat(255));
  fc.assert(
    fc.property(fc.array(byte, { minLength: 1, maxLength: 15 }), (numbers) => {
      const bytes = Uint8Array.from(numbers);
      const shown = deviceName(bytes);
      expect(nameBytes(shown)).toEqual(Buffer.from(bytes));
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}]|^\(/u);
      expect(withoutControls(shown)).toBe(shown);
      expect(nameWithin(shown)).toBe(shownBytes(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test('text for a terminal keeps what is no control', () => {
  expect(withoutControls('µs: \x1b]0;title\x07 and\nmore \x9b')).toBe(
    'µs: \\x1b]0;title\\x07 and\\x0amore \\xc2\\x9b',
  );
});
