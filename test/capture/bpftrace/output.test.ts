// Lines of `bpftrace -f json`: those that it really printed, and those that nobody should print.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LineSplitter } from '../../../src/capture/bpftrace/lines.ts';
import { parseOutput, ScriptOutputError } from '../../../src/capture/bpftrace/output.ts';

const SCRIPTS = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'];

function recorded(script: string): Buffer {
  return readFileSync(new URL(`./fixtures/${script}.0.17.jsonl`, import.meta.url));
}

test.each(SCRIPTS)('all that bpftrace 0.17 printed for %s.bt is understood', (script) => {
  const kinds = new Set<string>();
  const splitter = new LineSplitter(1 << 20, (line) => {
    if (line.trim() === '') return;
    for (const output of parseOutput(line)) kinds.add(output.type);
  });
  splitter.push(recorded(script));
  splitter.end();
  expect([...kinds].sort()).toEqual(['attached_probes', 'hist', 'map', 'printf']);
});

test('a map without a key has one row whose key is empty', () => {
  expect(parseOutput('{"type": "map", "data": {"@c": 101}}')).toEqual([
    { type: 'map', name: '@c', rows: [{ key: '', value: 101 }] },
  ]);
});

test('a histogram keeps its keys and the bounds of its buckets', () => {
  const line =
    '{"type": "hist", "data": {"@h": {"lo,0,17": [{"min": 512, "max": 1023, "count": 99}]}}}';
  expect(parseOutput(line)).toEqual([
    {
      type: 'hist',
      name: '@h',
      rows: [{ key: 'lo,0,17', buckets: [{ min: 512, max: 1023, count: 99 }] }],
    },
  ]);
});

test('bytes above 0x7f are had back from what bpftrace 0.17 makes of them, and no others', () => {
  const keyOf = (json: string): string | undefined => {
    const [output] = parseOutput(`{"type": "map", "data": {"@c": {"${json}": 1}}}`);
    return output?.type === 'map' ? output.rows[0]?.key : undefined;
  };
  const latin1 = Buffer.from('unicodeé').toString('latin1');
  expect(keyOf('unicode\\uffffffc3\\uffffffa9')).toBe(latin1);
  expect(keyOf(latin1)).toBe(latin1);
  expect(keyOf('caf\\uffffffe9,0,17')).toBe('caf\xe9,0,17');
  // A backslash and letters.
  expect(keyOf('caf\\\\uffffffe9')).toBe('caf\\uffffffe9');
  expect(keyOf('\\u001b\\n\\"')).toBe('\x1b\n"');
  expect(parseOutput('{"type": "printf", "data": "\\uffffffc2\\uffffffb5s\\n"}')).toEqual([
    { type: 'printf', text: 'µs\n' },
  ]);
});

test('what this version does not know is handed on', () => {
  expect(parseOutput('{"type": "time", "data": "07:34:44"}')).toEqual([
    { type: 'other', kind: 'time', data: '07:34:44' },
  ]);
});

describe('a line is refused, and shown,', () => {
  test.each([
    ['not JSON', 'Attaching 3 probes...'],
    ['without a type', '{"data": 5}'],
    ['a histogram whose count is negative', '{"type": "hist", "data": {"@h": [{"count": -1}]}}'],
    ['a histogram that is text', '{"type": "hist", "data": {"@h": "many"}}'],
    ['lost events without a number', '{"type": "lost_events", "data": {}}'],
  ])('%s', (_title, line) => {
    expect(() => parseOutput(line)).toThrow(ScriptOutputError);
    expect(() => parseOutput(line)).toThrow(JSON.stringify(line));
  });
});

describe('the stream is cut into lines', () => {
  test.each([1, 7, 1000])('in pieces of %i bytes', (size) => {
    const lines: string[] = [];
    const splitter = new LineSplitter(100, (line) => lines.push(line));
    const bytes = Buffer.from('first µs\n\nsecond\nlast');
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
    splitter.end();
    expect(lines).toEqual(['first µs', 'second', 'last']);
  });

  test('one that is too long is left out and counted, those after it are not', () => {
    const lines: string[] = [];
    const splitter = new LineSplitter(10, (line) => lines.push(line));
    splitter.push(Buffer.from('0123456789\n0123456789'));
    splitter.push(Buffer.from('0\nshort\n'));
    expect({ lines, tooLong: splitter.tooLong }).toEqual({
      lines: ['0123456789', 'short'],
      tooLong: 1,
    });
  });
});
