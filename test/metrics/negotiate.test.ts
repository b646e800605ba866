// The Accept headers that are really sent, and those that should not be.

import { expect, test } from 'vitest';
import { encoderFor } from '../../src/metrics/negotiate.ts';
import { decodeProtobuf, parseText } from './decode.ts';
import { TYPICAL } from './snapshots.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const PROTOBUF =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

const MESSAGE = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily';

test.each([
  [
    'Prometheus 2.42',
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    OPENMETRICS,
  ],
  [
    'Prometheus 2.42 with native histograms',
    `${MESSAGE};encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`,
    PROTOBUF,
  ],
  [
    'Prometheus 3',
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    OPENMETRICS,
  ],
  [
    'Prometheus 3 with native histograms',
    `${MESSAGE};encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1`,
    PROTOBUF,
  ],
  [
    'Prometheus 3 told to prefer text',
    'text/plain;version=0.0.4;escaping=underscores;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2',
    TEXT,
  ],
  [
    'Prometheus before 2.34',
    'application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    TEXT,
  ],
  ['curl', '*/*', TEXT],
  [
    'a browser',
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    TEXT,
  ],
  ['nobody', undefined, TEXT],
  ['an empty header', '', TEXT],
  ['garbage', ';;=,/,text/,*;q=x,\u0000', TEXT],
  ['OpenMetrics by name only', 'application/openmetrics-text', OPENMETRICS],
  [
    'upper case and blanks',
    'Application/OpenMetrics-Text ; Version = "1.0.0" ; Q=0.9',
    OPENMETRICS,
  ],
  ['a version of OpenMetrics that is not ours', 'application/openmetrics-text;version=2.0.0', TEXT],
  ['protobuf without saying which', 'application/vnd.google.protobuf', TEXT],
  ['protobuf without a framing', MESSAGE, TEXT],
  ['protobuf as text', `${MESSAGE};encoding=text`, TEXT],
  ['another message', 'application/vnd.google.protobuf;proto=x.Y;encoding=delimited', TEXT],
  [
    'protobuf refused',
    `${MESSAGE};encoding=delimited;q=0,application/openmetrics-text;q=0.1`,
    OPENMETRICS,
  ],
  ['all refused', '*/*;q=0', TEXT],
  ['equals, the first named', 'application/openmetrics-text,text/plain', OPENMETRICS],
  ['equals, the other first', 'text/plain,application/openmetrics-text', TEXT],
  ['a name against a wildcard of the same weight', '*/*,application/openmetrics-text', OPENMETRICS],
  ['a wildcard above a name', 'application/openmetrics-text;q=0.5,*/*;q=0.8', TEXT],
  ['text/* above OpenMetrics', 'text/*;q=0.9,application/openmetrics-text;q=0.8', TEXT],
  ['any application type', 'application/*', TEXT],
  ['a senseless weight', 'application/openmetrics-text;q=high,text/plain;q=0.9', OPENMETRICS],
  [
    'a weight of three digits',
    'application/openmetrics-text;q=0.751,text/plain;q=0.75',
    OPENMETRICS,
  ],
])('%s gets the right format', (_, accept, contentType) => {
  expect(encoderFor(accept).contentType).toBe(contentType);
});

test('each encoder writes what its content type says', () => {
  const text = encoderFor(undefined).encode(TYPICAL);
  const openMetrics = encoderFor('application/openmetrics-text').encode(TYPICAL);
  const protobuf = encoderFor(`${MESSAGE};encoding=delimited`).encode(TYPICAL);
  expect(parseText(text, 'text').types.size).toBe(5);
  expect(parseText(openMetrics, 'openmetrics').types.size).toBe(5);
  expect(decodeProtobuf(protobuf)).toHaveLength(5);
});
