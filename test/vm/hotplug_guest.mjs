// Runs in a guest of two CPUs: the agent, scraped while CPU 1 is taken offline and back again under
// traffic, and another that starts without it. Reports every scrape. Judges nothing: hotplug.test.ts
// does.
//
//   hotplug_guest.mjs AGENT TRAFFIC DATAGRAMS TURNS CONFIG

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { report } from './report.mjs';

const [main, traffic, datagrams, turns, config] = process.argv.slice(2);
const ONLINE = '/sys/devices/system/cpu/cpu1/online';
let port = 5700;

await withAgent('online', async (scrape) => {
  await send(0);
  await send(1);
  await scrape('both');
  for (let turn = 0; turn < Number(turns); turn++) {
    writeFileSync(ONLINE, '0');
    await scrape('offline');
    await send(0);
    await scrape('offline, after traffic');
    writeFileSync(ONLINE, '1');
    await scrape('back');
    await send(1);
    await scrape('back, after traffic');
  }
});
writeFileSync(ONLINE, '0');
await withAgent('offline', async (scrape) => {
  await send(0);
  await scrape('offline');
  writeFileSync(ONLINE, '1');
  await scrape('back');
  await send(1);
  await scrape('back, after traffic');
});

/** Starts the agent, lets `during` scrape it, and reports how it ended. */
async function withAgent(agent, during) {
  const args = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
  const child = spawn(process.execPath, [main, ...args, '--config.file', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log = [];
  const lines = createInterface(child.stderr);
  const url = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      log.push(line);
      const metrics = /"metrics":"([^"]+)"/.exec(line)?.[1];
      if (metrics !== undefined) resolve(metrics);
    });
    child.once('exit', () => reject(new Error(log.join('\n'))));
  });
  const exit = once(child, 'exit');
  await during(async (phase) => {
    const response = await fetch(url);
    report({ agent, phase, status: response.status, text: await response.text() });
  });
  child.kill('SIGTERM');
  const [code] = await exit;
  report({ agent, phase: 'end', code, log });
}

/** Over loopback, all of it on one CPU. */
async function send(cpu) {
  port += 1;
  const words = ['udp', '127.0.0.1', `${port}`, datagrams];
  const receiver = spawn(traffic, ['receive', ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(receiver, 'close');
  await once(receiver.stdout, 'data');
  await promisify(execFile)(traffic, ['send', ...words, `cpu=${cpu}`, 'gap-us=200']);
  receiver.stdout.resume();
  await closed;
}
