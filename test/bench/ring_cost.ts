// How many events a second one process drains from the perf ring buffer without losing any, and
// what an event costs in JavaScript. First with made-up events at rising rates, until some are
// lost; then in exact mode, where the packets of a flood are the events.

import { type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import { captureOptions } from '../../src/agent/capture_options.ts';
import { openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { type RecordSink, recordDecoder } from '../../src/capture/records.ts';
import { effectiveConfig } from '../../src/config/load.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { USUAL_PROBES } from '../kernel/options.ts';
import { openProgram } from './bpf_program.ts';
import { formatSpread, markdownTable, spreadOf } from './statistics.ts';

export interface RingCostOptions {
  readonly rounds: number;
}

/** Returns the tables as Markdown. `progress` hears of each step. */
export async function ringCost(
  options: RingCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const lab = new Lab();
  try {
    const made = await madeUpTable(lab, options.rounds, progress);
    progress('exact mode');
    return `${made}\n${await exactTable(lab, options.rounds)}`;
  } finally {
    lab.close();
  }
}

/** 4 MiB a CPU: a tenth of a second at a million events a second. */
const PAGES_PER_CPU = 1024;
const PORT = 7003;
const RECORDS_A_PACKET = 50;
const SECONDS_A_STEP = 1;
/** Microseconds between two packets, until the sender's CPU does nothing but emit. */
const GAPS_US = [100, 50, 25, 10, 5, 2];

interface Step {
  readonly events: number;
  readonly lost: number;
  readonly seconds: number;
  /** In the callback: decoding, and handing each event over as an object. */
  readonly decodeNs: number;
  /** Of the whole process, the copies out of the ring included. */
  readonly cpuNs: number;
}

async function madeUpTable(
  lab: Lab,
  rounds: number,
  progress: (line: string) => void,
): Promise<string> {
  const rows: string[][] = [];
  let withoutLoss = 0;
  for (const gapUs of GAPS_US) {
    progress(`made-up events, ${gapUs} µs between packets`);
    const steps: Step[] = [];
    // The first one warms the decoder up.
    for (let i = 0; i <= rounds; i++) steps.push(await madeUpStep(lab, gapUs));
    steps.shift();
    rows.push(row(steps));
    // A single stall of the machine loses some at any rate; the median round has none.
    if (spreadOf(steps.map(({ lost }) => lost)).median > 0) continue;
    withoutLoss = Math.max(withoutLoss, spreadOf(steps.map(eventsPerSecond)).median);
  }
  const table = markdownTable(['made-up events a second', ...COLUMNS], rows);
  return `${table}\nDrained without loss: ${withoutLoss.toFixed(0)} events a second.\n`;
}

function eventsPerSecond({ events, seconds }: Step): number {
  return events / seconds;
}

const COLUMNS = ['lost', 'ns of JavaScript an event', 'ns of CPU an event, all'];

function row(steps: readonly Step[]): string[] {
  return [
    formatSpread(steps.map(eventsPerSecond), 0),
    formatSpread(
      steps.map(({ lost }) => lost),
      0,
    ),
    formatSpread(
      steps.map(({ decodeNs, events }) => decodeNs / events),
      0,
    ),
    formatSpread(
      steps.map(({ cpuNs, events }) => cpuNs / events),
      0,
    ),
  ];
}

/** A sink that does what `rxscope record --exact` does with each event. */
function collector(): { sink: RecordSink; count: () => number } {
  const latencies: number[] = [];
  let count = 0;
  const observation: RecordSink['observation'] = ({ latencyNs }) => {
    // Bounded, or the array's growth would be what is measured.
    latencies[count++ & 0xffff] = latencyNs;
  };
  return { sink: { outlier: () => {}, observation, drop: () => {} }, count: () => count };
}

async function madeUpStep(lab: Lab, gapUs: number): Promise<Step> {
  const object = openProgram('emit.bpf.c');
  try {
    object.setConst('records', new Uint8Array(Uint32Array.of(RECORDS_A_PACKET).buffer));
    object.load();
    const decode = recordDecoder((struct) => object.layout(struct));
    const { sink, count } = collector();
    let decodeMs = 0;
    const options = {
      pagesPerCpu: PAGES_PER_CPU,
      wakeupBytes: PAGES_PER_CPU * 1024,
      batchBytesMax: 1 << 18,
    };
    const reader = object.openEvents('events', options, (frames) => {
      const fromMs = performance.now();
      decode(frames, sink);
      decodeMs += performance.now() - fromMs;
    });
    const cpu = process.cpuUsage();
    object.attach('emit');
    const fromMs = performance.now();
    const packets = Math.round((SECONDS_A_STEP * 1e6) / gapUs);
    await lab.send('udp', RECEIVER, PORT, packets, { cpu: 0, 'gap-us': gapUs });
    object.detach('emit');
    const seconds = (performance.now() - fromMs) / 1000;
    reader.drain();
    const { user, system } = process.cpuUsage(cpu);
    const sent = readSent(object);
    if (count() + sent.lost !== sent.all) {
      throw new Error(`${sent.all} events sent, ${sent.lost} lost, but ${count()} read`);
    }
    return {
      events: count(),
      lost: sent.lost,
      seconds,
      decodeNs: decodeMs * 1e6,
      cpuNs: (user + system) * 1000,
    };
  } finally {
    object.close();
  }
}

function readSent(object: BpfObject): { all: number; lost: number } {
  const words = new BigUint64Array(2);
  object.read('sent', 0, new Uint8Array(words.buffer));
  return { all: Number(words[0]), lost: Number(words[1]) };
}

const PACKETS = 100_003;

async function exactTable(lab: Lab, rounds: number): Promise<string> {
  const steps: Step[] = [];
  for (let i = 0; i <= rounds; i++) steps.push(await exactStep(lab));
  steps.shift();
  const [rate = '', lost = '', , cpu = ''] = row(steps);
  return markdownTable(
    ['exact mode, UDP flood: events a second', 'lost', 'ns of CPU an event, all'],
    [[rate, lost, cpu]],
  );
}

async function exactStep(lab: Lab): Promise<Step> {
  const options = {
    ...captureOptions(effectiveConfig(), true),
    probes: USUAL_PROBES,
    pagesPerCpu: PAGES_PER_CPU,
  };
  const capture = openKernelCapture(loadAddon(), options);
  try {
    const { sink, count } = collector();
    capture.startRecords(sink);
    const receiver = lab.receive('udp', RECEIVER, PORT, PACKETS, { cpu: 1, buffer: 1 << 29 });
    await receiver.ready;
    const cpu = process.cpuUsage();
    const fromMs = performance.now();
    await lab.send('udp', RECEIVER, PORT, PACKETS, { cpu: 0 });
    const seconds = (performance.now() - fromMs) / 1000;
    await receiver.result;
    capture.drain();
    const { user, system } = process.cpuUsage(cpu);
    const reading = capture.read();
    const lost = Object.values(reading?.events ?? {}).reduce((sum, { lost }) => sum + lost, 0);
    return { events: count(), lost, seconds, decodeNs: 0, cpuNs: (user + system) * 1000 };
  } finally {
    capture.close();
  }
}
