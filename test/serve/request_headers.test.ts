// The two headers that a scraper controls and that decide about time and bytes.

import { describe, expect, test } from 'vitest';
import { acceptsGzip, scrapeDeadlineMs } from '../../src/serve/request_headers.ts';

describe('scrapeDeadlineMs', () => {
  test.each([
    ['10', 9_500],
    ['2.25', 1_750],
    ['0.6', 100],
    ['0.001', 100],
    ['1e9', 120_000],
  ])('leaves half a second of a timeout of %s s, within bounds', (header, deadlineMs) => {
    expect(scrapeDeadlineMs(header)).toBe(deadlineMs);
  });

  test.each([undefined, '', ' ', '0', '-3', 'ten', '10, 10', 'NaN', 'Infinity', '9'.repeat(7_919)])(
    'takes 10 s when the header is %j',
    (header) => {
      expect(scrapeDeadlineMs(header)).toBe(10_000);
    },
  );

  test('takes 10 s when the header came as a list', () => {
    expect(scrapeDeadlineMs(['1', '2'])).toBe(10_000);
  });
});

describe('acceptsGzip', () => {
  test.each(['gzip', 'GZIP', 'deflate, gzip;q=0.1', 'x-gzip', '*', 'br ; q=1 , gzip ; q=0.001'])(
    'compresses for %j',
    (header) => {
      expect(acceptsGzip(header)).toBe(true);
    },
  );

  test.each([
    undefined,
    '',
    ',,;;,',
    'identity',
    'br, zstd',
    'gzip;q=0',
    'gzip;q=0.000, *',
    '*, gzip; q=0',
    '*;q=0',
    'gzip;q=much',
    'gzipped',
  ])('sends the plain body for %j', (header) => {
    expect(acceptsGzip(header)).toBe(false);
  });
});
