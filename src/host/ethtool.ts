// What a driver tells of a network device by ethtool's ioctl: who it is, its statistics, rings,
// coalescing, channels, features. Reads only, and needs no privilege: each command below is among
// those that the kernel allows to anyone (net/ethtool/ioctl.c: __dev_ethtool). Structures and
// numbers are those of include/uapi/linux/ethtool.h, in the host's byte order: little-endian.
//
// Each call takes the kernel's lock on network configuration, wakes a device that sleeps, and may
// ask the firmware. It is meant for devices that are up.

import { constants } from 'node:os';

/**
 * Makes one call: `buffer` begins with the command's number and is changed in place. Returns 0, or
 * the errno; EFAULT, with the buffer unchanged, where the answer is longer than the buffer. The
 * addon's `ethtool` (native/ethtool.cc).
 */
export type EthtoolCall = (device: string, buffer: Uint8Array) => number;

/** A refusal that says neither that the driver does not offer the thing, nor that the device is gone. */
export class EthtoolError extends Error {
  override readonly name = 'EthtoolError';
  readonly device: string;
  readonly command: EthtoolCommand;
  readonly errno: number;

  constructor(device: string, command: EthtoolCommand, errno: number) {
    super(`cannot ask ${device} by ${command}: errno ${errno}`);
    this.device = device;
    this.command = command;
    this.errno = errno;
  }
}

export interface DriverInfo {
  readonly driver: string;
  /** The driver's own, or the kernel's for a driver without one. */
  readonly version: string;
  readonly firmware: string;
  /** The hardware's place on its bus, such as `0000:00:03.0`; empty for a device without hardware. */
  readonly bus: string;
}

/** Descriptors in each ring: what is set, and what can be. */
export interface RingSizes {
  readonly rx: number;
  readonly rxMax: number;
  readonly tx: number;
  readonly txMax: number;
}

/**
 * When the device raises an interrupt: after so many microseconds or frames, whichever comes first.
 * 0 also where the driver has no such setting.
 */
export interface Coalescing {
  readonly rxUsecs: number;
  readonly rxFrames: number;
  /** The driver changes the values of reception by itself. */
  readonly adaptiveRx: boolean;
  readonly txUsecs: number;
  readonly txFrames: number;
  readonly adaptiveTx: boolean;
}

/** Queues with an interrupt: of reception, transmission, both, or neither. Set, and possible. */
export interface Channels {
  readonly rx: number;
  readonly rxMax: number;
  readonly tx: number;
  readonly txMax: number;
  readonly other: number;
  readonly otherMax: number;
  readonly combined: number;
  readonly combinedMax: number;
}

export interface Feature {
  readonly active: boolean;
  /** Cannot be changed by a user. */
  readonly fixed: boolean;
}

export interface DeviceSettings {
  readonly driver?: DriverInfo;
  readonly rings?: RingSizes;
  readonly coalescing?: Coalescing;
  readonly channels?: Channels;
  readonly features?: ReadonlyMap<string, Feature>;
  readonly problems: readonly EthtoolError[];
}

const COMMANDS = {
  ETHTOOL_GDRVINFO: 0x03,
  ETHTOOL_GCOALESCE: 0x0e,
  ETHTOOL_GRINGPARAM: 0x10,
  ETHTOOL_GSTRINGS: 0x1b,
  ETHTOOL_GSTATS: 0x1d,
  ETHTOOL_GSSET_INFO: 0x37,
  ETHTOOL_GFEATURES: 0x3a,
  ETHTOOL_GCHANNELS: 0x3c,
} as const;

export type EthtoolCommand = keyof typeof COMMANDS;

/** String sets (enum ethtool_stringset). */
const ETH_SS_STATS = 1;
const ETH_SS_FEATURES = 4;

/** Bytes of one name in ETHTOOL_GSTRINGS, the NUL included. */
const NAME_BYTES = 32;
/** The longest buffer that the addon takes, in bytes. */
export const ETHTOOL_BYTES_MAX = 4 << 20;
/** Times that names and values are read again because their number changed in between. */
const RETRIES_MAX = 3;

const { EAGAIN, EFAULT, ENODEV, EOPNOTSUPP } = constants.errno;

/** All of the below but the statistics. What is refused becomes a problem; the rest is read. */
export function deviceSettings(call: EthtoolCall, device: string): DeviceSettings {
  const problems: EthtoolError[] = [];
  const read = <Key extends string, Value>(
    key: Key,
    reader: (call: EthtoolCall, device: string) => Value | undefined,
  ): { readonly [key in Key]?: Value } => {
    try {
      const value = reader(call, device);
      return (value === undefined ? {} : { [key]: value }) as { readonly [key in Key]?: Value };
    } catch (error) {
      if (!(error instanceof EthtoolError)) throw error;
      problems.push(error);
      return {};
    }
  };
  return {
    ...read('driver', driverInfo),
    ...read('rings', ringSizes),
    ...read('coalescing', coalescing),
    ...read('channels', channels),
    ...read('features', features),
    problems,
  };
}

/** struct ethtool_drvinfo: five texts of 32 bytes, then what is not used here. */
export function driverInfo(call: EthtoolCall, device: string): DriverInfo | undefined {
  const answer = ask(call, device, 'ETHTOOL_GDRVINFO', 196);
  return (
    answer && {
      driver: textAt(answer, 4),
      version: textAt(answer, 36),
      firmware: textAt(answer, 68),
      bus: textAt(answer, 100),
    }
  );
}

/** struct ethtool_ringparam: maxima, then settings, of the rings rx, rx mini, rx jumbo, tx. */
export function ringSizes(call: EthtoolCall, device: string): RingSizes | undefined {
  const answer = ask(call, device, 'ETHTOOL_GRINGPARAM', 36);
  return (
    answer && {
      rx: u32(answer, 20),
      rxMax: u32(answer, 4),
      tx: u32(answer, 32),
      txMax: u32(answer, 16),
    }
  );
}

/** struct ethtool_coalesce: the first twelve of its 23 numbers; those of "irq" are left out. */
export function coalescing(call: EthtoolCall, device: string): Coalescing | undefined {
  const answer = ask(call, device, 'ETHTOOL_GCOALESCE', 92);
  return (
    answer && {
      rxUsecs: u32(answer, 4),
      rxFrames: u32(answer, 8),
      adaptiveRx: u32(answer, 40) !== 0,
      txUsecs: u32(answer, 20),
      txFrames: u32(answer, 24),
      adaptiveTx: u32(answer, 44) !== 0,
    }
  );
}

/** struct ethtool_channels: maxima, then settings, of the kinds rx, tx, other, combined. */
export function channels(call: EthtoolCall, device: string): Channels | undefined {
  const answer = ask(call, device, 'ETHTOOL_GCHANNELS', 36);
  return (
    answer && {
      rx: u32(answer, 20),
      rxMax: u32(answer, 4),
      tx: u32(answer, 24),
      txMax: u32(answer, 8),
      other: u32(answer, 28),
      otherMax: u32(answer, 12),
      combined: u32(answer, 32),
      combinedMax: u32(answer, 16),
    }
  );
}

/**
 * By the kernel's names (net/ethtool/common.c: netdev_features_strings): `rx-gro`, `rx-gro-hw`,
 * `rx-lro`, `rx-checksum`, `rx-ntuple-filter`, `rx-hashing` and others. struct ethtool_gfeatures: a
 * number of blocks, each of which has 32 bits of available, requested, active, never changed.
 */
export function features(
  call: EthtoolCall,
  device: string,
): ReadonlyMap<string, Feature> | undefined {
  const names = namesOf(call, device, ETH_SS_FEATURES);
  if (names === undefined) return undefined;
  const count = names.length / NAME_BYTES;
  const blocks = Math.ceil(count / 32);
  const request = Buffer.alloc(8 + 16 * blocks);
  request.writeUInt32LE(blocks, 4);
  const answer = ask(call, device, 'ETHTOOL_GFEATURES', request);
  if (answer === undefined) return undefined;
  const found = new Map<string, Feature>();
  for (let bit = 0; bit < count; bit++) {
    const name = textAt(names, NAME_BYTES * bit);
    // A bit that has no meaning any more has no name.
    if (name === '') continue;
    const block = 8 + 16 * (bit >>> 5);
    const isSet = (word: number) => ((u32(answer, block + 4 * word) >>> (bit & 31)) & 1) === 1;
    found.set(name, { active: isSet(2), fixed: !isSet(0) || isSet(3) });
  }
  return found;
}

/** What ETHTOOL_GSTRINGS and ETHTOOL_GSTATS tell, undecoded. */
export interface RawStatistics {
  /** Names of 32 bytes each; see `statisticNames`. */
  readonly names: Uint8Array;
  /** The value of the name at this position. Exact up to 2^53, the nearest double above. */
  readonly value: (position: number) => number;
}

/**
 * The driver's own statistics (`ethtool -S`). The names are not decoded, which costs most where there are
 * thousands. They are read each time: other queues can bring other names without changing their number.
 */
export function rawStatistics(call: EthtoolCall, device: string): RawStatistics | undefined {
  for (let tries = 0; tries <= RETRIES_MAX; tries++) {
    const names = namesOf(call, device, ETH_SS_STATS);
    if (names === undefined) return undefined;
    const count = names.length / NAME_BYTES;
    // Kernels that heed this number answer with none where it is not theirs any more.
    const request = Buffer.alloc(8 + 8 * count);
    request.writeUInt32LE(count, 4);
    const answer = askChanging(call, device, 'ETHTOOL_GSTATS', request);
    if (answer === undefined) return undefined;
    if (answer === 'changed' || u32(answer, 4) !== count) continue;
    return {
      names,
      value: (position) =>
        u32(answer, 8 + 8 * position) + u32(answer, 12 + 8 * position) * 0x1_0000_0000,
    };
  }
  throw new EthtoolError(device, 'ETHTOOL_GSTATS', EAGAIN);
}

export function statisticNames(names: Uint8Array): string[] {
  const count = names.length / NAME_BYTES;
  return Array.from({ length: count }, (_, position) => textAt(names, NAME_BYTES * position));
}

/** The names of a string set, `NAME_BYTES` bytes each; undefined where there is none in it. */
function namesOf(call: EthtoolCall, device: string, set: number): Uint8Array | undefined {
  for (let tries = 0; tries <= RETRIES_MAX; tries++) {
    const count = stringCount(call, device, set);
    // Asking for the names of none makes the kernel complain in its log.
    if (count === 0) return undefined;
    const bytes = 12 + NAME_BYTES * count;
    if (bytes > ETHTOOL_BYTES_MAX) throw new EthtoolError(device, 'ETHTOOL_GSTRINGS', EFAULT);
    const request = Buffer.alloc(bytes);
    request.writeUInt32LE(set, 4);
    const answer = askChanging(call, device, 'ETHTOOL_GSTRINGS', request);
    if (answer === undefined) return undefined;
    if (answer !== 'changed' && u32(answer, 8) === count) return answer.subarray(12);
  }
  throw new EthtoolError(device, 'ETHTOOL_GSTRINGS', EAGAIN);
}

/** struct ethtool_sset_info with a mask of one set. The kernel takes sets out that the device lacks. */
function stringCount(call: EthtoolCall, device: string, set: number): number {
  const request = Buffer.alloc(20);
  request.writeUInt32LE(1 << set, 8);
  const answer = ask(call, device, 'ETHTOOL_GSSET_INFO', request);
  return answer === undefined || u32(answer, 8) === 0 ? 0 : u32(answer, 16);
}

/** `request` is the structure, or its bytes where all but the command is 0. */
function ask(
  call: EthtoolCall,
  device: string,
  command: EthtoolCommand,
  request: Buffer | number,
): Buffer | undefined {
  const buffer = typeof request === 'number' ? Buffer.alloc(request) : request;
  buffer.writeUInt32LE(COMMANDS[command], 0);
  const errno = call(device, buffer);
  if (errno === 0) return buffer;
  if (errno === EOPNOTSUPP || errno === ENODEV) return undefined;
  throw new EthtoolError(device, command, errno);
}

/** The same where a longer answer than was room for means that the driver has more by now. */
function askChanging(
  call: EthtoolCall,
  device: string,
  command: EthtoolCommand,
  request: Buffer,
): Buffer | 'changed' | undefined {
  try {
    return ask(call, device, command, request);
  } catch (error) {
    if (error instanceof EthtoolError && error.errno === EFAULT) return 'changed';
    throw error;
  }
}

function u32(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at);
}

/** A text in a field of 32 bytes, up to its NUL where it has one. */
function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  const stop = end < 0 || end > at + NAME_BYTES ? at + NAME_BYTES : end;
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, stop - at).toString('latin1');
}
