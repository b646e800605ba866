// The agent is a guest on its host: what it takes in memory however often it is scraped, and that it loads no
// code that it has no use for. Times are the benchmark's affair.

import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { expect, test } from 'vitest';
import { residentMb } from '../bench/machine.ts';
import { ACCEPT } from '../bench/scraper.ts';
import { RXSCOPE, startAgent } from './agent_process.ts';

/**
 * Measured: 75 to 78 MB; before V8 was told to be sparing, 140 to 155 MB. Most of it, 44 MB, is Node's own
 * code, of which other versions may have more.
 */
const RESIDENT_MB_MAX = 95;

test('a thousand scrapes in all formats leave it with a bounded memory', async () => {
  const agent = await startAgent();
  try {
    const connections = new Agent({ keepAlive: true, maxSockets: 1 });
    const formats = Object.values(ACCEPT);
    for (let i = 0; i < 1000; i++) {
      const accept = formats[i % formats.length] ?? '';
      await scraped(agent.url, connections, i % 2 === 0 ? { accept } : { accept, ...GZIP });
    }
    connections.destroy();
    expect(residentMb(agent.pid).now).toBeLessThan(RESIDENT_MB_MAX);
  } finally {
    await agent.stop();
  }
}, 240_000);

const BUNDLE = new URL('../../dist/bundle/', import.meta.url);
const GZIP = { 'accept-encoding': 'gzip' };

function scraped(
  url: string,
  agent: Agent,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    get(`${url}/metrics`, { agent, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.resume().once('end', resolve);
    }).once('error', reject);
  });
}

/** Tells at the end which CommonJS files were loaded; those in the bundle are none. */
const TELL_LOADED = `data:text/javascript,${encodeURIComponent(`
import Module from 'node:module';
process.once('exit', () => console.error('loaded ' + JSON.stringify(Object.keys(Module._cache))));
`)}`;

test('it loads its bundle, the addon and what finds that, and nothing else', async () => {
  const [node = '', main = ''] = RXSCOPE;
  const agent = await startAgent([], [node, '--import', TELL_LOADED, main]);
  await agent.stop();
  const told = /^loaded (.*)$/m.exec(agent.stderr)?.[1];
  const loaded = JSON.parse(told ?? '[]') as string[];
  expect(
    loaded.filter((file) => !/\/node-gyp-build\/|\.node$|\/package\.json$/.test(file)),
  ).toEqual([]);
  expect(loaded).not.toEqual([]);
});

test('the bundle has no package that is never used, and one byte for a character', () => {
  const text = (file: string): string => readFileSync(new URL(file, BUNDLE), 'utf8');
  const bundled = [...text('LICENSES').matchAll(/^## (\S+) \S+: \S/gm)].map(([, name]) => name);
  expect(bundled).toContain('fastify');
  for (const name of ['ajv', 'light-my-request', '@fastify/ajv-compiler'])
    expect(bundled).not.toContain(name);
  // V8 keeps the text of a file, in two bytes for each character as soon as one needs them.
  const code = readdirSync(BUNDLE).filter((file) => file.endsWith('.js'));
  expect(code.filter((file) => /\P{ASCII}/u.test(text(file)))).toEqual([]);
});
