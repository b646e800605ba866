// What depends on a host's mounts, services and environment, once more as on a host with systemd
// (test/systemd_host.sh). On such a host these are the surroundings of the first time, too.

import { beforeAll, expect, test } from 'vitest';
import { type FileReport, runAgain } from '../again.ts';

const FILES = [
  'test/host/drop_reasons.test.ts',
  'test/e2e/degrade.test.ts',
  'test/host/protocol_counters.test.ts',
  'test/native/kernel_types.test.ts',
  'test/serve/tls.test.ts',
];

let reports: ReadonlyMap<string, FileReport>;
beforeAll(async () => {
  reports = await runAgain(FILES, ['test/systemd_host.sh']);
}, 900_000);

test.each(FILES)('%s', (file) => {
  const report = reports.get(file);
  expect(report?.failures.join('\n')).toBe('');
  expect(report?.passed).toBeGreaterThan(0);
});
