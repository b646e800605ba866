// The reasons of drops that alert: the kernel's own names, and each in one alert only.

import { expect, test } from 'vitest';
import {
  anyOf,
  BACKLOG_REASONS,
  CARD_REASON,
  LOSS_REASONS,
  NO_LOSS,
  SOCKET_BUFFER_REASONS,
} from '../../src/publish/rules/loss_reasons.ts';
import { textOf } from '../repo/project_files.ts';

/** In include/net/dropreason-core.h of Linux 6.14 and later. */
const NEWER = ['TCP_LISTEN_OVERFLOW', 'PFMEMALLOC'];
const ALL = [...SOCKET_BUFFER_REASONS, ...BACKLOG_REASONS, ...Object.keys(LOSS_REASONS)];

test('each reason that alerts is one of the kernel, or a function of before 5.17', () => {
  const known = ['debian-6.1', 'debian-6.12']
    .map((name) => textOf(`test/host/fixtures/drop_reasons/${name}.txt`))
    .join();
  const unknown = [...ALL, ...Object.keys(NO_LOSS).flatMap((row) => row.split(', '))]
    .filter((reason) => reason !== CARD_REASON && /^[A-Z]/.test(reason))
    .filter((reason) => !known.includes(`SKB_DROP_REASON_${reason} =`) && !NEWER.includes(reason));
  expect(unknown).toEqual([]);
});

test('each reason belongs to one alert, and none is called no loss as well', () => {
  expect(new Set(ALL).size).toBe(ALL.length);
  const harmless = Object.keys(NO_LOSS).flatMap((row) => row.split(', '));
  expect(ALL.filter((reason) => harmless.includes(reason))).toEqual([]);
});

test('a name with brackets is escaped for the regular expression in a string of PromQL', () => {
  expect(anyOf(['(card)', 'A_B'])).toBe(String.raw`\\(card\\)|A_B`);
});
