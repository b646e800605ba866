// `rxscope trace` as a command line: what it lists, what reaches the agent, what is refused.

import { describe, expect, test } from 'vitest';
import { projectFiles } from '../repo/project_files.ts';
import { cli } from './harness.ts';

const SCRIPTS = projectFiles()
  .filter((file) => /^bpf\/\w+\.bt$/.test(file))
  .map((file) => file.slice('bpf/'.length, -'.bt'.length));

describe('without a name', () => {
  test('lists every script of bpf/ with one line from its header', async () => {
    const { code, out, err, trace } = await cli(['trace']);
    expect({ code, err, trace }).toEqual({ code: 0, err: '', trace: [] });
    const lines = out.trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(SCRIPTS);
    expect(SCRIPTS).toContain('packet_latency');
    for (const line of lines)
      expect(line).toMatch(/^\w+ {2,}(how long|who|where) \w+ .{20,}[^.:]$/);
  });

  test('--json lists them for a script', async () => {
    const { out } = await cli(['trace', '--json']);
    const rows = JSON.parse(out) as { name: string; summary: string }[];
    expect(rows.map(({ name }) => name)).toEqual(SCRIPTS);
    expect(rows.find(({ name }) => name === 'lock_sock')?.summary).toBe(
      "who waits for a socket's lock, and who holds it, by command and thread",
    );
  });
});

describe('with a name', () => {
  test.each(SCRIPTS)('%s runs for ten seconds unless told otherwise', async (script) => {
    const { code, trace } = await cli(['trace', script]);
    expect(code).toBe(0);
    expect(trace).toEqual([{ script, durationMs: 10_000, json: false }]);
  });

  test('takes all of its options', async () => {
    const { trace } = await cli(['trace', 'lock_sock', '--duration', '1.5s', '--json']);
    expect(trace).toEqual([{ script: 'lock_sock', durationMs: 1_500, json: true }]);
  });

  test.each([0, 1])('ends with the code of its action, %i', async (code) => {
    expect((await cli(['trace', 'lock_sock'], async () => code)).code).toBe(code);
  });
});

describe('is refused', () => {
  test.each([
    {
      title: 'a script with a typo',
      argv: ['packet_latncy'],
      err: 'rxscope trace: no script "packet_latncy"; did you mean packet_latency?\n',
    },
    {
      title: 'a script that is none',
      argv: ['zzz'],
      err: `rxscope trace: no script "zzz"; there are ${SCRIPTS.join(', ')}\n`,
    },
    {
      title: 'the way to a file',
      argv: ['../bpf/lock_sock'],
      err: `rxscope trace: no script "../bpf/lock_sock"; there are ${SCRIPTS.join(', ')}\n`,
    },
    {
      title: 'a duration that is none, and a typo',
      argv: ['lock_sok', '--duration', 'soon'],
      err:
        '--duration: got "soon", expected a duration such as 100us: a number with one of ns, us, µs, ms or s\n' +
        'rxscope trace: no script "lock_sok"; did you mean lock_sock?\n',
    },
    {
      title: 'a second name',
      argv: ['lock_sock', 'softirq_delay'],
      err: "rxscope trace: unexpected argument 'softirq_delay'\nSee `rxscope trace --help`.\n",
    },
  ])('$title', async ({ argv, err }) => {
    expect(await cli(['trace', ...argv])).toMatchObject({ code: 2, out: '', err, trace: [] });
  });
});
