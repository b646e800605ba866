// What a driver means by the name of an interrupt: which queue, and which way packets go. The one
// place that knows how drivers name their interrupts. Pure: which device it is, is interrupts.ts'.

export type Direction = 'rx' | 'tx' | 'rxtx' | 'other';

export interface Meaning {
  readonly queue?: number;
  /**
   * `other`: link changes, commands, mailboxes, or a name that nobody here knows. `plain`: nothing
   * but the device's name, which is all of a device that has one interrupt, and `other` beside queues.
   */
  readonly direction: Direction | 'plain';
}

const RX = new Set(['rx', 'rxq', 'input']);
const TX = new Set(['tx', 'txq', 'output']);
/** `fp`: fast path (bnx2x, qede). `comp`: completion queue (mlx5). */
const BOTH = new Set(['txrx', 'rxtx', 'comp', 'fp', 'q', 'queue']);
/** Vectors that serve queues whose numbers the name does not tell (gve, virtio with one for all). */
const UNNUMBERED = new Set(['blk', 'block', 'virtqueues']);
/** `hwc`: hardware channel (mana). `mbx`: mailbox (iavf). `ctrl` (ice), `fdir` (i40e): filters, not packets. */
const OTHER = new Set([
  ...['config', 'misc', 'async', 'mgmnt', 'mgmt', 'event', 'ctrl', 'link', 'lsc', 'exception'],
  ...['adminq', 'aen', 'mbx', 'hwc', 'fdir', 'pages', 'cmd', 'fw', 'ptp', 'error', 'err', 'stats'],
]);

/**
 * The meaning of one handler's name. `names` are the device's own: its name, that of its bus device,
 * and its driver's; they are taken out first, since a device may be called `rx0`.
 */
export function meaningOf(action: string, names: readonly string[]): Meaning {
  // A vector without a handler, as those of queues that are not in use.
  if (action === '') return { direction: 'other' };
  // The card tells of what was sent by a message on receive queue 0, which is the default one.
  const wifi = /^iwlwifi: ?(?:default[ _]queue|queue[ _](\d+))$/.exec(action);
  if (wifi !== null) return { queue: Number(wifi[1] ?? 0), direction: 'rx' };
  let rest = action;
  for (const name of names) rest = without(rest, name);
  // `mlx5_comp7@pci:0000:81:00.0`, `mlx4-3@0000:03:00.0`
  rest = rest.replace(/@.*$/, '');
  const mlx4 = /^mlx4-(\d+)$/.exec(rest);
  if (mlx4 !== null) return { queue: Number(mlx4[1]), direction: 'rxtx' };
  const words = [...rest.toLowerCase().matchAll(/([a-z]+)[^a-z0-9]{0,2}(\d+)?/g)].map(
    ([, word = '', number]) => ({ word, number }),
  );
  if (words.length === 0) {
    // `ens1-0` (sfc, Mellanox' own mlx5), `eth0` alone.
    const number = /\d+/.exec(rest);
    if (number === null) return { direction: 'plain' };
    return { queue: Number(number[0]), direction: 'rxtx' };
  }
  const has = (set: ReadonlySet<string>): boolean => words.some(({ word }) => set.has(word));
  if (has(OTHER)) return { direction: 'other' };
  if (has(UNNUMBERED)) return { direction: 'rxtx' };
  const direction = directionOf(has(RX), has(TX), has(BOTH));
  if (direction === 'other') return { direction };
  const numbered = words.findLast(
    ({ word, number }) => number !== undefined && [RX, TX, BOTH].some((set) => set.has(word)),
  );
  return numbered === undefined ? { direction } : { queue: Number(numbered.number), direction };
}

function directionOf(rx: boolean, tx: boolean, both: boolean): Direction {
  if (rx !== tx) return rx ? 'rx' : 'tx';
  return rx || both ? 'rxtx' : 'other';
}

/** Is one of these names in the action, as a word? For names that nobody chooses, as those of buses. */
export function namesDevice(action: string, names: readonly string[]): boolean {
  return names.some((name) => placeOf(action, name) >= 0);
}

/**
 * Is the action's name made of this one, as drivers make them: `eth0`, `eth0-TxRx-3`, and behind the driver's
 * name `i40e-eth0-TxRx-3`? A network device can have any name, that of others' interrupts too: one called
 * `usb1` has nothing to do with `ehci_hcd:usb1`.
 */
export function isMadeOf(action: string, name: string, driver: string | undefined): boolean {
  if (beginsWith(action, name)) return true;
  const rest = driver !== undefined && action.startsWith(driver) ? action.slice(driver.length) : '';
  return /^[-_:. ]/.test(rest) && beginsWith(rest.slice(1), name);
}

function beginsWith(action: string, name: string): boolean {
  return name !== '' && action.startsWith(name) && !isOfName(action[name.length]);
}

function without(action: string, name: string): string {
  const at = placeOf(action, name);
  return at < 0 ? action : `${action.slice(0, at)} ${action.slice(at + name.length)}`;
}

function placeOf(action: string, name: string): number {
  if (name === '') return -1;
  for (let at = action.indexOf(name); at >= 0; at = action.indexOf(name, at + 1)) {
    if (!isOfName(action[at - 1]) && !isOfName(action[at + name.length])) return at;
  }
  return -1;
}

/** `eth1` is not in `eth10-rx-0`, nor in `eth1é`: a name ends at what drivers put between words. */
function isOfName(character: string | undefined): boolean {
  return character !== undefined && !/[-:.,@ ]/.test(character);
}
