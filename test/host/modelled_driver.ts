// A driver for tests that need one with thousands of statistics, or whose statistics change while
// they are read. Answers as the kernel does for it: net/ethtool/ioctl.c.

import { constants } from 'node:os';
import type { EthtoolCall } from '../../src/host/ethtool.ts';

const { EFAULT, EOPNOTSUPP } = constants.errno;

export interface ModelledDriver {
  /** Names of its statistics; each one's value is its position and one. */
  names: readonly string[];
  /** Is called before each command is carried out, with its number. */
  before?: (command: number) => void;
  /** Errno by command, for those that are refused. */
  readonly refused?: ReadonlyMap<number, number>;
}

export const GSTRINGS = 0x1b;
export const GSTATS = 0x1d;
const GSSET_INFO = 0x37;

export function modelledDriver(driver: ModelledDriver): EthtoolCall {
  return (_, bytes) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const command = buffer.readUInt32LE(0);
    driver.before?.(command);
    const refused = driver.refused?.get(command);
    if (refused !== undefined) return refused;
    const { names } = driver;
    switch (command) {
      case GSSET_INFO:
        buffer.writeUInt32LE(names.length, 16);
        return 0;
      case GSTRINGS:
        if (buffer.length < 12 + 32 * names.length) return EFAULT;
        buffer.writeUInt32LE(names.length, 8);
        for (const [position, name] of names.entries())
          buffer.write(name.padEnd(32, '\0'), 12 + 32 * position, 32, 'latin1');
        return 0;
      case GSTATS:
        if (buffer.length < 8 + 8 * names.length) return EFAULT;
        buffer.writeUInt32LE(names.length, 4);
        for (const position of names.keys())
          buffer.writeBigUInt64LE(BigInt(position + 1), 8 + 8 * position);
        return 0;
      default:
        return EOPNOTSUPP;
    }
  };
}
