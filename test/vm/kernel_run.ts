// Boots a kernel of the matrix once, or takes this machine's, has kernel_guest.mjs do all its parts
// there, and sends datagrams to its network cards when it says that it is ready.
//
//   this process ─┬─ 127.0.0.1:PORT ─ QEMU ─ virtio card, eth0 10.0.2.15:5555 ─┬─ irq_part.mjs
//                 └─ 127.0.0.1:PORT ─ QEMU ─ virtio card, eth1 10.0.3.15:5555 ─┘

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Captured } from '../../src/capture/capture_once.ts';
import { ATTACHES, type Attach, forceRung, HOOKS, type Hook } from '../../src/capture/hooks.ts';
import type { IrqOwner } from '../../src/host/interrupts.ts';
import { captureAll, USUAL_PROBES } from '../kernel/options.ts';
import { watch } from '../kernel/unseen.ts';
import { capturedOf, runInGuest, runOnThisMachine } from './guest.ts';
import type { Kernel } from './kernels.ts';

/** To each card in the first two phases, to one in the others. */
export const DATAGRAMS = 503;
export const HOG_DATAGRAMS = 503;
/** QEMU's user network loses bursts, and the guest is slow. */
const GAP_MS = 5;
const GUEST_PORT = 5555;
/** How long each interrupt's handler is held; two of them are well below the gap. */
export const HOLD_IRQ_NS = 1_000_000;
/** Longer than a softirq may go on (2 ms or one tick) before ksoftirqd has to. */
export const HOLD_SOFTIRQ_NS = 9_000_000;
/** The real-time task: 65 % of its CPU, less than what the kernel leaves to such tasks. */
export const HOG = { bursts: 11, busyMs: 97, idleMs: 53 };
/** Above and below that of interrupt threads, 50. */
const PRIORITY = { hog: 60, meek_hog: 40 };

export const LOOPBACK = { datagrams: 307, messages: 101, steps: 17 };
/** Messages of 60,000 bytes: enough that a reader holds the lock while segments come. */
export const STREAM = 211;
export const STREAM_BYTES = STREAM * 60_000;
export const NAPI_DATAGRAMS = 307;

/** What tells one phase's datagrams over veth from another's: their length without headers. */
const DATAGRAM_BYTES = { veth: 45, softirq: 46, threaded: 47, busy_poll: 48 };
const UDP_HEADERS = 28;
type Phase = keyof typeof DATAGRAM_BYTES;

/** One capture of several over the same packets. */
export interface RungLine {
  readonly phase: 'held' | 'veth';
  readonly rung: Attach;
  readonly about?: VethTraffic;
  readonly captured: Captured;
}

/** What the veth pair's receivers and the kernel's counters say. */
export interface VethTraffic {
  readonly udp: number;
  readonly rps: number;
  readonly bytes: number;
  readonly dropped: number;
  /** Segments merged into another on a socket's backlog. */
  readonly coalesced: number;
  /** Times that RPS told another CPU of packets. */
  readonly hops: number;
}

/** One measurement of the network cards' interrupts. */
export interface IrqLine {
  readonly phase: string;
  /** interruptOwners(), there. */
  readonly owners: readonly (readonly [irq: number, owner: IrqOwner])[];
  readonly cards: readonly {
    readonly device: string;
    readonly ifindex: number;
    /** What the application read. */
    readonly datagrams: number;
    /** What the card's driver counted. */
    readonly packets: number;
  }[];
  /** By /proc/interrupts, those of network devices. */
  readonly interrupts: readonly (readonly [irq: number, n: number])[];
  /** The text of the kernel's trace. */
  readonly trace: string;
  /** When the real-time task computed, ns. */
  readonly bursts: readonly (readonly [beginNs: number, endNs: number])[];
  readonly captured: Captured;
  /** Other captures of the same packets, on other rungs. */
  readonly rungs: readonly { readonly rung: Attach; readonly captured: Captured }[];
}

export interface NapiLine {
  readonly phase: 'softirq' | 'threaded' | 'busy_poll';
  readonly ifindex: number;
  readonly received: number;
  readonly captured: Captured;
}

/** What a locked-down kernel does with other programs. */
export interface LockedLine {
  /** As /sys/kernel/security/lockdown has it: `none integrity [confidentiality]`. */
  readonly lockdown: string;
  /** `rxscope probes --json`. */
  readonly probes: readonly { readonly id: string; readonly up: boolean }[];
  /** A bpftrace that could not do less. */
  readonly bpftrace: { readonly status: number | null; readonly output: string };
}

export interface KernelRun {
  readonly release: string;
  readonly rungs: readonly RungLine[];
  readonly irqs: readonly IrqLine[];
  readonly napi: readonly NapiLine[];
  readonly locked: LockedLine | undefined;
  /** A phase's datagrams over veth of which no BPF program of anybody's was told: see unseen.ts. */
  readonly unseenIn: (phase: Phase) => number;
  readonly seconds: number;
}

/**
 * Ladders on which everything that can stands on one rung. Kernels before 6.3 have no tracepoint of
 * data_ready: there, a ladder of tracepoints takes its function, by one way or the other.
 */
export function rungHooks(attach: Attach): Hook[] {
  const hooks = forceRung(HOOKS, attach);
  if (attach === 'fentry' || attach === 'kprobe') return hooks;
  const instead = attach === 'raw_tp' ? 'kprobe' : 'fentry';
  return hooks.map((hook) => {
    if (hook.name !== 'data_ready') return hook;
    const all = HOOKS.find(({ name }) => name === hook.name)?.rungs ?? [];
    return { ...hook, rungs: [...hook.rungs, ...all.filter((rung) => rung.attach === instead)] };
  });
}

export async function runKernel(kernel: Kernel): Promise<KernelRun> {
  const started = performance.now();
  // On the root file system, the only one that a guest sees.
  const folder = mkdtempSync('/var/tmp/rxscope-vm-');
  try {
    const tools = buildTools(folder);
    const rungs = ATTACHES.map((rung) => ({
      rung,
      options: captureAll({ hooks: rungHooks(rung) }),
    }));
    const tasks = {
      rungs: {
        ...tools,
        ...LOOPBACK,
        rungs,
        stream: STREAM,
        datagramBytes: DATAGRAM_BYTES.veth,
        // Things in a guest take 10 to 40 times as long.
        holdNs: kernel.series === undefined ? 20_000 : 500_000,
      },
      napi: { ...tools, datagrams: NAPI_DATAGRAMS, datagramBytes: DATAGRAM_BYTES },
      ...(kernel.cards ? { irqs: irqTask(kernel, tools) } : {}),
      ...(kernel.confidential ? { locked: {} } : {}),
      options: captureAll({
        probes: [...USUAL_PROBES, 'softirq_raise_to_entry'],
        exact: true,
        pagesPerCpu: 256,
        budgets_ns: {
          softirq_raise_to_entry: 16e9,
          irq_to_softirq: HOLD_IRQ_NS,
          softirq_to_socket: 16e9,
          receive_to_socket: 16e9,
        },
      }),
    };
    const { lines, unseenIn } =
      kernel.series === undefined
        ? await here(tasks)
        : { lines: await inGuest(kernel, kernel.series, tasks), unseenIn: () => 0 };
    const parts = (part: string) =>
      lines
        .filter((line) => line.part === part)
        .map((line) => ({ ...line, captured: capturedOf(line) }));
    return {
      release: String(lines[0]?.release),
      rungs: parts('rungs') as unknown as RungLine[],
      irqs: parts('irqs').map(withRungs) as unknown as IrqLine[],
      napi: parts('napi') as unknown as NapiLine[],
      locked: lines.find((line) => line.part === 'locked') as unknown as LockedLine | undefined,
      unseenIn,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function withRungs(line: Readonly<Record<string, unknown>>) {
  const rungs = line.rungs as Readonly<Record<string, unknown>>[];
  return { ...line, rungs: rungs.map((one) => ({ ...one, captured: capturedOf(one) })) };
}

function irqTask(kernel: Kernel, tools: Tools) {
  const hogs = kernel.threadedInterrupts
    ? ['calm', 'hog', 'meek_hog'] // A thread that is above the hog does not wait for it.
    : ['calm', 'hog'];
  return {
    ...tools,
    port: GUEST_PORT,
    datagrams: DATAGRAMS,
    hogDatagrams: HOG_DATAGRAMS,
    holdNs: HOLD_IRQ_NS,
    holdSoftirqNs: kernel.threadedInterrupts ? 0 : HOLD_SOFTIRQ_NS,
    hogs: hogs.map((name) => ({
      ...HOG,
      name,
      priority: PRIORITY[name as keyof typeof PRIORITY] ?? 0,
    })),
  };
}

async function here(tasks: unknown) {
  const task = { script: 'kernel_guest.mjs', args: [JSON.stringify(tasks)] };
  const event = 'net/netif_receive_skb';
  const { result, unseen } = await watch({ [event]: 'name == "vy"' }, () => runOnThisMachine(task));
  const unseenIn = (phase: Phase) => unseen(event, `len=${DATAGRAM_BYTES[phase] + UDP_HEADERS}`);
  return { lines: result, unseenIn };
}

async function inGuest(kernel: Kernel, series: string, tasks: unknown) {
  const ports = await freePorts(kernel.cards ? 2 : 0);
  const sending: Promise<void>[] = [];
  const lines = await runInGuest({
    series,
    // Interrupts are held on one CPU while another goes on.
    cpus: 'at once',
    script: 'kernel_guest.mjs',
    args: [JSON.stringify(tasks)],
    kernelArguments: kernel.arguments,
    qemu: ports.map(card).join(' '),
    onLine: ({ ready }) => {
      if (ready === undefined) return;
      const first = ports.slice(0, 1);
      if (ready === 'held') sending.push(send(ports, DATAGRAMS));
      else sending.push(send(first, ready === 'plain' ? DATAGRAMS : HOG_DATAGRAMS));
    },
  });
  await Promise.all(sending);
  return lines;
}

interface Tools {
  readonly hold: string;
  readonly hog: string;
  readonly traffic: string;
}

function buildTools(folder: string): Tools {
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const cxx = (source: string, name: string): string => {
    const program = join(folder, name);
    execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', program, file(source)]);
    return program;
  };
  const hold = join(folder, 'hold.bpf.o');
  const target = ['-target', 'bpf', '-mcpu=v3', '-D__TARGET_ARCH_x86'];
  const flags = [...target, '-I/usr/include/x86_64-linux-gnu', '-O2', '-g', '-Wall', '-Werror'];
  execFileSync('clang', [...flags, '-c', file('fixtures/hold.bpf.c'), '-o', hold]);
  const hog = cxx('fixtures/hog.cc', 'hog');
  return { hold, hog, traffic: cxx('../kernel/traffic/traffic.cc', 'traffic') };
}

/** QEMU's arguments for the n-th card, and for what this process sends to its port. */
function card(port: number, n: number): string {
  const network = `net=10.0.${n + 2}.0/24,ipv6=off`;
  const forward = `hostfwd=udp:127.0.0.1:${port}-:${GUEST_PORT}`;
  return `-netdev user,id=net${n},${network},${forward} -device virtio-net-pci,netdev=net${n}`;
}

/** UDP ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => createSocket('udp4').bind(0, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}

/** To all ports at a time, so that their interrupts meet; each is first as often as the other. */
async function send(ports: readonly number[], datagrams: number): Promise<void> {
  const socket = createSocket('udp4');
  for (let i = 0; i < datagrams; i++) {
    for (const port of i % 2 === 0 ? ports : ports.toReversed()) {
      socket.send(`${i}`, port, '127.0.0.1');
    }
    await sleep(GAP_MS);
  }
  socket.close();
}
