// Writes the /proc and /sys of a large machine: 256 possible CPUs with holes in their numbering, on
// two NUMA nodes, and 16 network devices of 64 queues each, one interrupt a queue, four drivers'
// ways of naming them. Generated and not committed, since it is megabytes.
//
// Modelled, not captured: the forms are those of fs/proc, kernel/irq/proc.c and net/core/net-procfs.c
// of Linux 6.12 and of the listings that fixtures/machines names. The counts are invented:
// the same options write the same bytes.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface ManyCpusOptions {
  /** Possible CPUs; more than 96 leave a hole of 32 numbers after CPU 95. */
  readonly cpus?: number;
  /** CPUs that are possible and not online. */
  readonly offline?: readonly number[];
  readonly devices?: number;
  readonly queues?: number;
  /** Each step later adds to every counter what one period of traffic would. */
  readonly step?: number;
}

export interface ManyCpus {
  readonly proc: string;
  readonly sys: string;
  readonly possible: readonly number[];
  readonly online: readonly number[];
  readonly devices: readonly string[];
  readonly queues: number;
}

interface Interrupt {
  readonly irq: number;
  readonly chip: string;
  readonly name: string;
  /** Position in `online` of the CPU that serves it. */
  readonly home: number;
  /** Interrupts a step. */
  readonly rate: number;
  readonly device?: number;
}

const SOFTIRQS = 'HI TIMER NET_TX NET_RX BLOCK IRQ_POLL TASKLET SCHED HRTIMER RCU'.split(' ');
const ARCHITECTURE = ['NMI', 'LOC', 'SPU', 'PMI', 'IWI', 'RTR', 'RES', 'CAL', 'TLB', 'TRM', 'MCP'];
const FIRST_IRQ = 60;
const NVME_QUEUES = 48;

/** Writes the whole tree into an empty folder: about 10,000 small files, one of 3 MB. */
export function writeManyCpus(folder: string, options: ManyCpusOptions = {}): ManyCpus {
  const machine = describeMachine(folder, options);
  writeManyCpusCounters(folder, options);
  writeCpus(machine);
  const interrupts = interruptsOf(machine);
  machine.devices.forEach((name, index) => {
    writeDevice(machine, name, index, interrupts);
  });
  writeLoopback(machine);
  for (const one of interrupts) writeAffinity(machine, one);
  const settings: Readonly<Record<string, string>> = {
    netdev_budget: '300',
    netdev_budget_usecs: '8000',
    netdev_max_backlog: '1000',
    dev_weight: '64',
    rps_sock_flow_entries: '32768',
    busy_poll: '0',
    busy_read: '0',
  };
  for (const [name, value] of Object.entries(settings)) {
    write(join(machine.proc, 'sys/net/core', name), `${value}\n`);
  }
  return machine;
}

/** Writes only what counts, over what is there: interrupts, softirqs, softnet_stat, stat. */
export function writeManyCpusCounters(folder: string, options: ManyCpusOptions = {}): void {
  const machine = describeMachine(folder, options);
  const step = (options.step ?? 0) + 1;
  write(join(machine.proc, 'interrupts'), interruptsText(machine, step));
  write(join(machine.proc, 'softirqs'), softirqsText(machine, step));
  write(join(machine.proc, 'stat'), statText(machine, step));
  write(join(machine.proc, 'self/net/softnet_stat'), softnetText(machine, step));
}

function describeMachine(folder: string, options: ManyCpusOptions): ManyCpus {
  const { cpus = 256, offline = [5, 77, 200, 201, 202, 203], devices = 16, queues = 64 } = options;
  const possible = Array.from({ length: cpus }, (_, at) => (at < 96 ? at : at + 32));
  return {
    proc: join(folder, 'proc'),
    sys: join(folder, 'sys'),
    possible,
    online: possible.filter((cpu) => !offline.includes(cpu)),
    devices: Array.from({ length: devices }, (_, at) => `eth${at}`),
    queues,
  };
}

function interruptsOf({ devices, queues, online }: ManyCpus): Interrupt[] {
  const interrupts: Interrupt[] = [];
  const add = (pci: string, vector: number, name: string, device?: number): void => {
    const at = interrupts.length;
    interrupts.push({
      irq: FIRST_IRQ + at,
      chip: `IR-PCI-MSIX-${pci}`.padEnd(26) + `${vector}-edge`.padStart(9),
      name,
      home: (at * 7) % online.length,
      rate: vector === 0 ? 1 : 1 + ((at * 7919) % 10_007),
      ...(device === undefined ? {} : { device }),
    });
  };
  devices.forEach((name, index) => {
    add(pciOf(index), 0, configName(name, index), index);
    for (let queue = 0; queue < queues; queue++) {
      add(pciOf(index), queue + 1, queueName(name, index, queue), index);
    }
  });
  for (let queue = 0; queue < NVME_QUEUES; queue++) add('0000:01:00.0', queue, `nvme0q${queue}`);
  return interrupts;
}

/** ixgbe, i40e, mlx5 and ena in turn. */
function queueName(device: string, index: number, queue: number): string {
  switch (index % 4) {
    case 0:
      return `${device}-TxRx-${queue}`;
    case 1:
      return `i40e-${device}-TxRx-${queue}`;
    case 2:
      return `mlx5_comp${queue}@pci:${pciOf(index)}`;
    default:
      return `${device}-Tx-Rx-${queue}`;
  }
}

function configName(device: string, index: number): string {
  const pci = pciOf(index);
  return [device, `i40e-${pci}:misc`, `mlx5_async0@pci:${pci}`, `ena-mgmnt@pci:${pci}`][
    index % 4
  ] as string;
}

function pciOf(index: number): string {
  return `0000:${(0x10 + index * 8).toString(16)}:00.0`;
}

/** As show_interrupts (kernel/irq/proc.c) and arch_show_interrupts (arch/x86) print it: online CPUs. */
function interruptsText(machine: ManyCpus, step: number): string {
  const { online } = machine;
  const lines = [`${' '.repeat(12)}${online.map((cpu) => `CPU${cpu}`.padEnd(11)).join('')}`];
  const row = (irq: string, count: (at: number) => number, rest: string): void => {
    const counts = online.map((_, at) => ` ${String(count(at)).padStart(10)}`).join('');
    lines.push(`${irq.padStart(4)}:${counts} ${rest}`);
  };
  const timer = (at: number): number => (at === 0 ? 36 : 0);
  row('0', timer, ' IR-IO-APIC    2-edge      timer');
  row('8', () => 0, ' IR-IO-APIC    8-edge      rtc0');
  row('9', () => 0, ' IR-IO-APIC    9-fasteoi   acpi');
  for (const { irq, home, rate, chip, name } of interruptsOf(machine)) {
    // Where irqbalance had it before, it left old counts.
    const earlier = (home + 13) % online.length;
    row(
      String(irq),
      (at) => (at === home ? rate * step : at === earlier ? rate % 97 : 0),
      ` ${chip}      ${name}`,
    );
  }
  for (const [index, name] of ARCHITECTURE.entries()) {
    row(name, (at) => (at + 1) * index * step, '  Interrupts of the architecture');
  }
  lines.push(' ERR:          0', ' MIS:          0');
  return `${lines.join('\n')}\n`;
}

/** As show_softirqs (fs/proc/softirqs.c) prints it: possible CPUs. */
function softirqsText({ possible, online }: ManyCpus, step: number): string {
  const header = possible.map((cpu) => `CPU${cpu}`.padEnd(11)).join('');
  const lines = SOFTIRQS.map((vector, index) => {
    const counts = possible.map((cpu) => {
      const count = online.includes(cpu) ? netRxOf(cpu, step) * (index + 1) : 0;
      return ` ${String(count).padStart(10)}`;
    });
    return `${vector.padStart(12)}:${counts.join('')}`;
  });
  return `${' '.repeat(20)}${header}\n${lines.join('\n')}\n`;
}

/** As softnet_seq_show (net/core/net-procfs.c, since 5.14 and 6.5) prints it: online CPUs. */
function softnetText({ online }: ManyCpus, step: number): string {
  return online
    .map((cpu) => {
      const row = [netRxOf(cpu, step) * 5, cpu % 3, cpu % 11, 0, 0, 0, 0, 0, 0, cpu * step, 0];
      row.push(cpu % 2, cpu, cpu % 2, 0);
      return `${row.map((one) => one.toString(16).padStart(8, '0')).join(' ')}\n`;
    })
    .join('');
}

/** As show_stat (fs/proc/stat.c) prints it, in USER_HZ ticks: online CPUs. */
function statText({ online }: ManyCpus, step: number): string {
  const ticks = (cpu: number): number[] => {
    const softirq = (cpu + 1) * 3 * step;
    return [1000 * step, 7, 500 * step, 90_000 * step, 40, (cpu + 1) * step, softirq, cpu, 0, 0];
  };
  const total = online
    .map(ticks)
    .reduce((sums, row) => sums.map((sum, index) => sum + (row[index] ?? 0)));
  const lines = online.map((cpu) => `cpu${cpu} ${ticks(cpu).join(' ')}`);
  const rest = `intr 0\nctxt ${99_991 * step}\nbtime 1760000000\nprocesses 4001\nprocs_running 3`;
  return `cpu  ${total.join(' ')}\n${lines.join('\n')}\n${rest}\nprocs_blocked 0\nsoftirq 0\n`;
}

function netRxOf(cpu: number, step: number): number {
  return (1 + ((cpu * 104_729) % 1009)) * step;
}

function writeCpus(machine: ManyCpus): void {
  const { sys, possible, online } = machine;
  const cpus = join(sys, 'devices/system/cpu');
  write(join(cpus, 'possible'), `${formatCpuList(possible)}\n`);
  write(join(cpus, 'present'), `${formatCpuList(possible)}\n`);
  write(join(cpus, 'online'), `${formatCpuList(online)}\n`);
  const missing = possible.filter((cpu) => !online.includes(cpu));
  write(join(cpus, 'offline'), `${formatCpuList(missing)}\n`);
  write(join(sys, 'devices/system/node/online'), '0-1\n');
  write(join(sys, 'devices/system/node/possible'), '0-1\n');
  for (const node of [0, 1]) {
    const mine = online.filter((cpu) => nodeOf(machine, cpu) === node);
    write(join(sys, `devices/system/node/node${node}/cpulist`), `${formatCpuList(mine)}\n`);
  }
  for (const cpu of possible) {
    mkdirSync(join(cpus, `cpu${cpu}`), { recursive: true });
    if (!online.includes(cpu)) continue;
    const node = nodeOf(machine, cpu);
    symlinkSync(`../../node/node${node}`, join(cpus, `cpu${cpu}/node${node}`));
  }
}

/** The lower half of the numbers on node 0, the upper half on node 1. */
function nodeOf({ possible }: ManyCpus, cpu: number): number {
  return possible.indexOf(cpu) < possible.length / 2 ? 0 : 1;
}

function writeDevice(
  machine: ManyCpus,
  name: string,
  index: number,
  interrupts: readonly Interrupt[],
): void {
  const { sys, queues, possible } = machine;
  const driver = ['ixgbe', 'i40e', 'mlx5_core', 'ena'][index % 4] as string;
  const root = (0x10 + index * 8 - 1).toString(16).padStart(2, '0');
  const bus = `devices/pci0000:${root}/${pciOf(index)}`;
  const net = join(sys, bus, 'net', name);
  write(join(sys, bus, 'numa_node'), `${index % 2}\n`);
  write(join(sys, bus, 'irq'), '0\n');
  for (const { irq, device } of interrupts) {
    if (device === index) write(join(sys, bus, 'msi_irqs', String(irq)), 'msix\n');
  }
  mkdirSync(join(sys, 'bus/pci/drivers', driver), { recursive: true });
  symlinkSync(`../../../bus/pci/drivers/${driver}`, join(sys, bus, 'driver'));
  mkdirSync(join(sys, 'bus/pci'), { recursive: true });
  symlinkSync('../../../bus/pci', join(sys, bus, 'subsystem'));
  const none = mask(possible.at(-1) ?? 0, []);
  for (let queue = 0; queue < queues; queue++) {
    write(join(net, `queues/rx-${queue}/rps_cpus`), `${none}\n`);
    write(join(net, `queues/rx-${queue}/rps_flow_cnt`), '0\n');
    const cpu = possible[(index + queue * 4) % possible.length] ?? 0;
    write(join(net, `queues/tx-${queue}/xps_cpus`), `${mask(possible.at(-1) ?? 0, [cpu])}\n`);
    write(join(net, `queues/tx-${queue}/xps_rxqs`), '0\n');
  }
  writeNet(net, name, { ifindex: index + 2, flags: '0x1003', type: 1, speed: 100_000 });
  symlinkSync(`../../../${pciOf(index)}`, join(net, 'device'));
  mkdirSync(join(sys, 'class/net'), { recursive: true });
  symlinkSync(`../../${bus}/net/${name}`, join(sys, 'class/net', name));
}

function writeLoopback({ sys }: ManyCpus): void {
  const net = join(sys, 'devices/virtual/net/lo');
  writeNet(net, 'lo', { ifindex: 1, flags: '0x9', type: 772, speed: undefined });
  write(join(net, 'queues/rx-0/rps_cpus'), '0\n');
  mkdirSync(join(sys, 'class/net'), { recursive: true });
  symlinkSync('../../devices/virtual/net/lo', join(sys, 'class/net/lo'));
}

function writeNet(
  net: string,
  name: string,
  facts: { ifindex: number; flags: string; type: number; speed: number | undefined },
): void {
  const { ifindex, flags, type, speed } = facts;
  write(join(net, 'ifindex'), `${ifindex}\n`);
  write(join(net, 'iflink'), `${ifindex}\n`);
  write(join(net, 'flags'), `${flags}\n`);
  write(join(net, 'type'), `${type}\n`);
  write(join(net, 'mtu'), '1500\n');
  write(join(net, 'operstate'), name === 'lo' ? 'unknown\n' : 'up\n');
  write(join(net, 'uevent'), `INTERFACE=${name}\nIFINDEX=${ifindex}\n`);
  if (speed !== undefined) write(join(net, 'speed'), `${speed}\n`);
}

function writeAffinity(machine: ManyCpus, { irq, home, device }: Interrupt): void {
  const { proc, online } = machine;
  const cpu = online[home] ?? 0;
  const folder = join(proc, 'irq', String(irq));
  write(join(folder, 'smp_affinity_list'), `${cpu}\n`);
  write(join(folder, 'effective_affinity_list'), `${cpu}\n`);
  write(join(folder, 'node'), `${(device ?? 0) % 2}\n`);
}

/** As a cpumask: 32 bits a word, the highest first, over all CPU numbers up to `last`. */
function mask(last: number, cpus: readonly number[]): string {
  const words = new Uint32Array(Math.floor(last / 32) + 1);
  for (const cpu of cpus) words[cpu >> 5] = ((words[cpu >> 5] ?? 0) | (1 << (cpu & 31))) >>> 0;
  return [...words]
    .reverse()
    .map((word) => word.toString(16).padStart(8, '0'))
    .join(',');
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The reverse of `parseCpuList`, as the kernel prints it: ascending, ranges of two written `0-1`. */
export function formatCpuList(cpus: Iterable<number>): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const ranges: { first: number; last: number }[] = [];
  for (const cpu of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === cpu - 1) range.last = cpu;
    else ranges.push({ first: cpu, last: cpu });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}
