// The template of simulated hosts: a real agent, with real packets over loopback and veth between two scrapes.

import { ACCEPT } from '../bench/scraper.ts';
import { sendOverLoopback } from '../e2e/loopback.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { type Template, templateOf } from './template.ts';

export interface Scraped {
  readonly template: Template;
  /** The second scrape, as it came. */
  readonly protobuf: Uint8Array;
  readonly text: Uint8Array;
}

const ROUNDS = 3;
const PORT = 5411;

/** `url`: of an agent that measures. */
export async function realTemplate(url: string): Promise<Scraped> {
  const lab = new Lab();
  try {
    await traffic(lab);
    const startedMs = performance.now();
    const first = await get(url, ACCEPT.protobuf);
    for (let round = 0; round < ROUNDS; round++) await traffic(lab);
    const protobuf = await get(url, ACCEPT.protobuf);
    const seconds = (performance.now() - startedMs) / 1000;
    const text = await get(url, ACCEPT.text);
    return { template: templateOf(first, protobuf, seconds), protobuf, text };
  } finally {
    lab.close();
  }
}

/** Paced, so that no queue is full. */
async function traffic(lab: Lab): Promise<void> {
  await sendOverLoopback(1009);
  for (const protocol of ['udp', 'tcp'] as const) {
    const receiver = lab.receive(protocol, RECEIVER, PORT, 503);
    await receiver.ready;
    await lab.send(protocol, RECEIVER, PORT, 503, { 'gap-us': 500 });
    await receiver.result;
  }
}

async function get(url: string, accept: string): Promise<Uint8Array> {
  const response = await fetch(`${url}/metrics`, { headers: { accept } });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
