// How much memory the agent is given: the unit, the manifest and the table in deploy/README.md say the same,
// with room for what the agent takes and for what others can make it take.

import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { textOf } from '../repo/project_files.ts';

const README = textOf('deploy/README.md');

/** The cells of the row of a table that begins like this. */
function row(beginning: string): string {
  const line = README.split('\n').find((one) => one.startsWith(`| ${beginning}`));
  return line?.split('|')[2]?.trim() ?? '';
}

function unit(setting: string): string | undefined {
  return new RegExp(`^${setting}=(.*)$`, 'm').exec(textOf('deploy/systemd/rxscope.service'))?.[1];
}

test('the unit, the manifest and the table give it the same memory', () => {
  const daemonSet = parse(textOf('deploy/kubernetes/base/daemon_set.yaml'));
  const { requests, limits } = daemonSet.spec.template.spec.containers[0].resources;
  const [request, high] = row('a request for it in Kubernetes').split(', ');
  expect({ request, high }).toEqual({ request: '192 MiB', high: '448 MiB' });
  expect(requests.memory).toBe(request?.replace(' MiB', 'Mi'));
  expect(unit('MemoryHigh')).toBe(high?.replace(' MiB', 'M'));
  const limit = row('the limit in Kubernetes');
  expect(limits.memory).toBe(limit.replace(' MiB', 'Mi'));
  expect(unit('MemoryMax')).toBe(limit.replace(' MiB', 'M'));
});

test('there is room for what it takes after hours, and for a flood on top of that', () => {
  const scrapedMb = Number(/ to (\d+) MB$/.exec(row('after 1,000 scrapes in all formats'))?.[1]);
  const floodMb = Number(/^(\d+) MB more$/.exec(row('while somebody sends all'))?.[1]);
  expect(192 * 1.048_576).toBeGreaterThan(scrapedMb * 1.2);
  expect(448 * 1.048_576).toBeGreaterThan((scrapedMb + floodMb) * 1.2);
  expect(textOf('README.md')).toContain(`to ${scrapedMb} MB |`);
});
