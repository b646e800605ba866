// Names of the running kernel's drop reasons, from the enums in its BTF. Pure: turns enums into
// names; which packets are counted is decided in bpf/drops.h.
//
// The numbers differ between kernels and the names hardly do, so nothing here knows a number.

import type { Addon, KernelEnum } from '../addon/addon.ts';

export interface DropReasons {
  /** False before Linux 5.17: `kfree_skb` then tells a code location and no reason. */
  readonly known: boolean;
  /** Values of `enum skb_drop_reason` that are no drops, as far as the kernel has them. */
  readonly notDrops: readonly number[];
  /**
   * The kernel's own name without its prefix: `SOCKET_RCVBUFF`, or `OVS_DROP_EXPLICIT` where a
   * subsystem has names of its own. What no enum names is `UNKNOWN_<n>`, or, where the subsystem is
   * known but its names are not, `UNKNOWN_OPENVSWITCH_<n>`.
   */
  name(reason: number): string;
  /** Of the core's reasons, without prefix. */
  readonly names: readonly string[];
  /** The number of a core reason by its name without prefix; undefined when this kernel has none. */
  numberOf(name: string): number | undefined;
}

/** The part of their name that all enums about drop reasons share. */
const ENUMS = 'drop_reason';

/** include/net/dropreason-core.h and dropreason.h: enum, prefix of its names, bits of a number. */
const CORE = 'skb_drop_reason';
const CORE_PREFIX = 'SKB_DROP_REASON_';
const SUBSYSTEMS = 'skb_drop_reason_subsys';
const SUBSYSTEM_PREFIX = 'SKB_DROP_REASON_SUBSYS_';
const SUBSYSTEM_SHIFT = 16;

/** In the enum for other purposes: a packet that is still there, and one that was made use of. */
const NOT_DROPS = ['SKB_NOT_DROPPED_YET', 'SKB_CONSUMED'];

/**
 * Asks the kernel. Needs no capability; a module that is loaded later may bring names, so it is worth
 * asking again when one is unknown. Throws a BpfError where the kernel has no BTF.
 */
export function readDropReasons(addon: Pick<Addon, 'kernelEnums'>): DropReasons {
  return dropReasons(addon.kernelEnums(ENUMS).enums);
}

export function dropReasons(enums: readonly KernelEnum[]): DropReasons {
  const core = enums.find(({ name }) => name === CORE)?.values ?? [];
  const numbers = new Map(
    core.flatMap(([name, value]) =>
      isCoreReason(name) ? [[name.slice(CORE_PREFIX.length), value]] : [],
    ),
  );
  const subsystems = subsystemsOf(enums);
  const names = new Map(namesOfSubsystems(enums, subsystems));
  for (const [name, value] of numbers) names.set(value, name);
  return {
    known: numbers.size > 0,
    notDrops: core.flatMap(([name, value]) => (NOT_DROPS.includes(name) ? [value] : [])),
    names: [...numbers.keys()],
    name: (reason) => names.get(reason) ?? unknown(reason, subsystems),
    numberOf: (name) => numbers.get(name),
  };
}

/** The last of the enum and the mask of its upper half are no reasons. */
function isCoreReason(name: string): boolean {
  return (
    name.startsWith(CORE_PREFIX) &&
    name !== `${CORE_PREFIX}MAX` &&
    name !== `${CORE_PREFIX}SUBSYS_MASK`
  );
}

/** The number above bit 16 of each subsystem that the kernel reserves one for, with its name. */
function subsystemsOf(enums: readonly KernelEnum[]): Map<number, string> {
  const values = enums.find(({ name }) => name === SUBSYSTEMS)?.values ?? [];
  return new Map(
    values.flatMap(([name, value]) =>
      name.startsWith(SUBSYSTEM_PREFIX) && value > 0 && name !== `${SUBSYSTEM_PREFIX}NUM`
        ? [[value, name.slice(SUBSYSTEM_PREFIX.length)]]
        : [],
    ),
  );
}

/**
 * The names that subsystems give to their reasons, whose values contain the subsystem's number
 * (net/openvswitch/drop.h, net/mac80211/drop.h). An enum of that kind whose values lie elsewhere is
 * some driver's own affair. Names that begin with an underscore are marks between the reasons, or
 * mac80211's second set of the same.
 */
function* namesOfSubsystems(
  enums: readonly KernelEnum[],
  subsystems: ReadonlyMap<number, string>,
): Generator<[number, string]> {
  for (const { name: enumName, values } of enums) {
    if (enumName === CORE || enumName === SUBSYSTEMS) continue;
    for (const [name, value] of values) {
      if (!subsystems.has(value >>> SUBSYSTEM_SHIFT)) continue;
      if (!name.startsWith('_') && !name.endsWith('_DROP_MAX')) yield [value, name];
    }
  }
}

function unknown(reason: number, subsystems: ReadonlyMap<number, string>): string {
  const subsystem = subsystems.get(reason >>> SUBSYSTEM_SHIFT);
  return subsystem === undefined
    ? `UNKNOWN_${reason}`
    : `UNKNOWN_${subsystem}_${reason & ((1 << SUBSYSTEM_SHIFT) - 1)}`;
}
