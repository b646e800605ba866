// irq_to_softirq on this machine's own interrupts. Real device interrupts of a network card are
// exercised in a virtual machine (test/vm); here is what must NOT become an observation.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { count } from '../../src/histogram/histogram.ts';
import { interruptOwners, readInterrupts } from '../../src/host/interrupts.ts';
import { observedOf } from './books.ts';
import { Lab } from './lab.ts';
import { captureAll } from './options.ts';
import { measureWatched } from './unseen.ts';

let lab: Lab;
let folder: string;
beforeAll(() => {
  lab = new Lab();
  folder = mkdtempSync(join('/var/tmp', 'rxscope-disk-'));
});
afterAll(() => {
  lab?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Interrupts so far that are no network device's. */
function otherInterrupts(): number {
  const network = interruptOwners(readInterrupts());
  const [head = '', ...lines] = readFileSync('/proc/interrupts', 'utf8').split('\n');
  const cpus = head.trim().split(/\s+/).length;
  return lines.reduce((sum, line) => {
    const match = /^\s*(\d+):(.*)$/.exec(line);
    if (match === null || network.has(Number(match[1]))) return sum;
    const counts = (match[2] ?? '').trim().split(/\s+/).slice(0, cpus).map(Number);
    return sum + counts.reduce((total, n) => total + n, 0);
  }, 0);
}

const BLOCK = 16_384;
const BLOCKS = 2003;

/** Reads past the page cache, so that each block raises the disk's interrupt. */
function readDisk(file: string): Promise<unknown> {
  const args = [`if=${file}`, 'of=/dev/null', `bs=${BLOCK}`, 'iflag=direct', 'status=none'];
  return promisify(execFile)('dd', args);
}

test('disk interrupts followed by loopback traffic are no observation of irq_to_softirq', async () => {
  const file = join(folder, 'block');
  writeFileSync(file, Buffer.alloc(BLOCK * BLOCKS, 1), { flush: true });
  const before = otherInterrupts();
  const n = 1009;
  const during = async (): Promise<void> => {
    const receiver = lab.receive('udp', '127.0.0.1', 5201, n, { cpu: 1 });
    await receiver.ready;
    // Disk interrupts all the while: some fall just before a packet's own softirq.
    const traffic = lab.sendLocally('udp', '127.0.0.1', 5201, n, { 'gap-us': 100 });
    await Promise.all([traffic, readDisk(file)]);
    await receiver.result;
  };
  const datagrams = 'name == "lo" && len == 44';
  const { captured, unseen } = await measureWatched(captureAll(), during, datagrams);
  expect(otherInterrupts() - before, 'the disk raised no interrupts').toBeGreaterThan(500);
  expect(observedOf(captured, 'receive_to_socket', 'udp')).toBe(n - unseen);
  // What this machine's own network card did meanwhile is its right; nothing else may appear.
  const network = interruptOwners(readInterrupts());
  const interrupts = (captured.reading?.latencies ?? []).filter(
    ({ probe }) => probe === 'irq_to_softirq',
  );
  for (const { irq, histogram } of interrupts) {
    expect(network.has(Number(irq)), `irq ${irq}: ${count(histogram)} observations`).toBe(true);
  }
});
