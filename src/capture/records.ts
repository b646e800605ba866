// Decodes the records that the programs send through the perf ring buffer. Pure.
// Their layouts come from the BPF object's own type information, not from constants here.

import type { StructLayout } from '../addon/addon.ts';
import { PROBES } from '../probes/index.ts';
import type { Probe } from '../probes/probe.ts';
import { DEVICE_OTHER_NETNS } from './slots.ts';

/** An observation over its probe's budget, with all that is known of the packet's way. */
export interface Outlier {
  /** Its id. */
  readonly probe: string;
  readonly latencyNs: number;
  /** When it ended, nanoseconds of the kernel's clock. So are the other times; 0 when not known. */
  readonly timeNs: number;
  readonly irqNs: number;
  readonly softirqNs: number;
  readonly receivedNs: number;
  readonly cpu: number;
  readonly irq: number;
  readonly ifindex: number;
  readonly otherNetns: boolean;
  readonly protocol: number;
  readonly localPort: number;
  readonly remotePort: number;
  /** Bytes, from the IP header on. */
  readonly length: number;
  readonly cgroupId: number;
  /** Of the task that the CPU was running: the holder of the socket lock, or who was interrupted. */
  readonly pid: number;
  readonly comm: string;
  readonly inSoftirq: boolean;
  /** Number of the softirq vector, where the probe is by vector. */
  readonly vector: number;
}

/** A packet that was dropped on the receive path. */
export interface DropRecord {
  /** Nanoseconds of the kernel's clock: kernel_clock.ts. */
  readonly timeNs: number;
  readonly cpu: number;
  /** As in DropCount of reading.ts. */
  readonly reason: number;
  /** Address of the code that dropped it. */
  readonly location: bigint;
  readonly ifindex: number;
  readonly otherNetns: boolean;
  /** No device is known, though perhaps an ifindex, of a namespace that is not known. */
  readonly noDevice: boolean;
  readonly ethertype: number;
  /** IPPROTO_*, 0 when it is not IP. */
  readonly transport: number;
  readonly localPort: number;
  readonly remotePort: number;
  /** Bytes from the header on that had been reached. */
  readonly length: number;
  readonly pid: number;
  readonly comm: string;
}

/** Exact mode: one observation. */
export interface Observation {
  /** Its id. */
  readonly probe: string;
  readonly protocol: number;
  readonly latencyNs: number;
  readonly timeNs: number;
  readonly cpu: number;
  /** The interrupt's number or the softirq vector's, where the probe is by it, else ifindex. */
  readonly key: number;
}

export interface RecordSink {
  outlier(record: Outlier): void;
  observation(record: Observation): void;
  drop(record: DropRecord): void;
}

/** What a record is. */
export const RECORD_OUTLIER = 1;
export const RECORD_OBSERVATION = 2;
export const RECORD_DROP = 3;
/** Instead of a device slot; in maps it is the slot after the last device's. */
export const NO_DEVICE = 0xff;

/** Header of a frame: u32 cpu, u32 size of the record; everything is padded to 8 bytes. */
const FRAME_HEADER_BYTES = 8;

/** Makes a decoder for frames as the addon delivers them. */
export function recordDecoder(
  layout: (struct: string) => StructLayout,
): (frames: Uint8Array, sink: RecordSink) => void {
  const outlier = fieldReader(layout('outlier'));
  const observation = fieldReader(layout('observation'));
  const drop = fieldReader(layout('drop_event'));
  return (frames, sink) => {
    const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= frames.byteLength) {
      const size = view.getUint32(at + 4, true);
      const record = at + FRAME_HEADER_BYTES;
      const kind = view.getUint32(record, true);
      if (kind === RECORD_OBSERVATION)
        sink.observation(decodeObservation(view, record, observation));
      else if (kind === RECORD_OUTLIER) sink.outlier(decodeOutlier(view, record, outlier));
      else if (kind === RECORD_DROP) sink.drop(decodeDrop(view, record, drop));
      else throw new Error(`record of unknown kind ${kind} in the perf ring buffer`);
      at = record + Math.ceil(size / 8) * 8;
    }
  };
}

type Offsets = (field: string) => number;

function fieldReader(layout: StructLayout): Offsets {
  return (field) => {
    const place = layout.fields[field];
    if (place === undefined) throw new Error(`the BPF object's record has no member ${field}`);
    return place.offset;
  };
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** The programs number the probes; from here on they go by their ids. */
function probeAt(view: DataView, at: number): Probe {
  const probe = PROBES[view.getUint8(at)];
  if (probe === undefined)
    throw new Error(`record of unknown probe ${view.getUint8(at)} in the perf ring buffer`);
  return probe;
}

function decodeObservation(view: DataView, base: number, offset: Offsets): Observation {
  return {
    probe: probeAt(view, base + offset('probe')).id,
    protocol: view.getUint8(base + offset('protocol')),
    latencyNs: u64(view, base + offset('latency_ns')),
    timeNs: u64(view, base + offset('time_ns')),
    cpu: view.getUint32(base + offset('cpu'), true),
    key: view.getUint32(base + offset('key'), true),
  };
}

function decodeOutlier(view: DataView, base: number, offset: Offsets): Outlier {
  const number = (field: string): number => view.getUint32(base + offset(field), true);
  const time = (field: string): number => u64(view, base + offset(field));
  const { id, by } = probeAt(view, base + offset('probe'));
  const key = number('key');
  return {
    probe: id,
    latencyNs: time('latency_ns'),
    timeNs: time('time_ns'),
    irqNs: time('irq_ns'),
    softirqNs: time('softirq_ns'),
    receivedNs: time('received_ns'),
    cpu: number('cpu'),
    irq: by === 'irq' ? key : number('irq'),
    ifindex: by === 'irq' || by === 'vector' ? 0 : key,
    otherNetns: view.getUint8(base + offset('device_slot')) === DEVICE_OTHER_NETNS,
    protocol: view.getUint8(base + offset('protocol')),
    localPort: view.getUint16(base + offset('local_port'), true),
    remotePort: view.getUint16(base + offset('remote_port'), true),
    length: number('length'),
    cgroupId: time('cgroup_id'),
    pid: number('pid'),
    comm: text(view, base + offset('comm'), 16),
    inSoftirq: view.getUint8(base + offset('in_softirq')) !== 0,
    vector: by === 'vector' ? key : 0,
  };
}

function decodeDrop(view: DataView, base: number, offset: Offsets): DropRecord {
  const number = (field: string): number => view.getUint32(base + offset(field), true);
  const half = (field: string): number => view.getUint16(base + offset(field), true);
  const slot = view.getUint8(base + offset('device_slot'));
  return {
    timeNs: u64(view, base + offset('time_ns')),
    cpu: number('cpu'),
    reason: number('reason'),
    location: view.getBigUint64(base + offset('location'), true),
    ifindex: number('ifindex'),
    otherNetns: slot === DEVICE_OTHER_NETNS,
    noDevice: slot === NO_DEVICE,
    ethertype: half('ethertype'),
    transport: view.getUint8(base + offset('transport')),
    localPort: half('local_port'),
    remotePort: half('remote_port'),
    length: number('length'),
    pid: number('pid'),
    comm: text(view, base + offset('comm'), 16),
  };
}

/** A NUL-terminated name. A task may call itself anything: what is not printable is replaced. */
function text(view: DataView, at: number, bytesMax: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, bytesMax);
  const end = bytes.indexOf(0);
  const name = new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytesMax : end));
  return name.replace(/\p{C}/gu, '?');
}
