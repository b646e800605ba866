// Which of a driver's own statistics tell of received packets that were lost before the kernel's
// network code saw them. Known names only, so that what a driver invents cannot make series without
// end; a name that is missing here is a line to add.
//
// They are details for a human who looks for a cause, never summands. What one of them counts is
// often part of another, and of the link's own counters too: virtio_net's rx_drops is in the link's
// rx_dropped, r8169's rx_missed is its rx_missed_errors. Statistics that have the very name of one of
// the link's counters (links.ts) are left out, since there they are the same number.

import { type EthtoolCall, rawStatistics, statisticNames } from './ethtool.ts';

/** At most so many statistics of a device are told: the first of the list below that it has. */
export const RECEIVE_DROP_STATISTICS_MAX = 16;

/**
 * Statistics without the number of a queue, by driver, each file under drivers/net/ of the kernel.
 * Packets, where nothing else is said.
 */
const RECEIVE_DROPS: readonly string[] = [
  // virtio_net.c (virtnet_rq_stats_desc), veth.c (veth_rq_stats_desc); "xdp": by an XDP program.
  'rx_drops',
  'rx_queue_drops',
  'rx_xdp_drops',
  'rx_queue_xdp_drops',
  // ethernet/intel/igb/igb_ethtool.c, igc/igc_ethtool.c, with rx_queue_drops as above. A packet that
  // found no buffer waits in the card, and is lost only when the link's rx_missed_errors counts too.
  'rx_no_buffer_count',
  'rx_queue_alloc_failed',
  // ethernet/intel/ixgbe/ixgbe_ethtool.c, e1000e/ethtool.c, with rx_no_buffer_count as above. The
  // last two count buffers that could not be allocated.
  'rx_no_dma_resources',
  'alloc_rx_page_failed',
  'alloc_rx_buff_failed',
  // ethernet/intel/i40e/i40e_ethtool.c; port.rx_dropped is the older name.
  'port.rx_discards',
  'port.rx_dropped',
  // ethernet/intel/ice/ice_ethtool.c; the last two, also in i40e, count buffers.
  'rx_dropped.nic',
  'rx_alloc_fail',
  'rx_pg_alloc_fail',
  // ethernet/mellanox/mlx5/core/en_stats.c; Documentation/networking/device_drivers/ethernet/
  // mellanox/mlx5/counters.rst tells what they mean.
  'rx_out_of_buffer',
  'rx_discards_phy',
  'rx_steer_missed_packets',
  'rx_oversize_pkts_buffer',
  'rx_oversize_pkts_sw_drop',
  'rx_prio_buf_discard',
  'rx_if_down_packets',
  'rx_wqe_err',
  'rx_buff_alloc_err',
  'rx_xdp_drop',
  // ethernet/amazon/ena/ena_ethtool.c; "allowance": packets that the cloud delayed or dropped because
  // the machine's type is entitled to no more.
  'bw_in_allowance_exceeded',
  'pps_allowance_exceeded',
  'conntrack_allowance_exceeded',
  'linklocal_allowance_exceeded',
  'queue_rx_page_alloc_fail',
  'queue_rx_skb_alloc_fail',
  'queue_rx_bad_desc_num',
  // ethernet/google/gve/gve_ethtool.c, with rx_xdp_drop as above.
  'rx_dropped_pkt',
  'rx_queue_drop_cnt',
  'rx_no_buffers_posted',
  'rx_drops_packet_over_mru',
  'rx_drops_invalid_checksum',
  'rx_skb_alloc_fail',
  'rx_buf_alloc_fail',
  'rx_desc_err_dropped_pkt',
  // ethernet/microsoft/mana/mana_ethtool.c, with rx_xdp_drop as above.
  'hc_rx_discards_no_wqe',
  'hc_rx_err_vport_disabled',
  // hyperv/netvsc_drv.c.
  'rx_no_memory',
  'rx_queue_xdp_drop',
  // vmxnet3/vmxnet3_ethtool.c.
  'drv dropped rx total',
  'pkts rx OOB',
  'pkts rx err',
  'rx buf alloc fail',
  // ethernet/broadcom/bnxt/bnxt_ethtool.c. The first is the sum of the queues' rx_discards over
  // resets, and the newer; see UNLESS.
  'rx_total_ring_discards',
  'rx_total_oom_discards',
  'rx_total_buf_errors',
  'rx_stat_discard',
  // The same for older ones, ethernet/broadcom/tg3.c, bnx2x/bnx2x_ethtool.c.
  'rx_discards',
  'rx_skb_alloc_discard',
  // ethernet/realtek/r8169_main.c.
  'rx_missed',
  // ethernet/emulex/benet/be_ethtool.c.
  'rx_drops_no_pbuf',
  'rx_drops_no_erx_descr',
  'rx_drops_mtu',
  'rx_drops_no_skbs',
  'rx_drops_no_frags',
  'rx_input_fifo_overflow_drop',
  'rxpp_fifo_overflow_drop',
  // ethernet/sfc/ef10.c.
  'port_rx_nodesc_drops',
  'rx_noskb_drops',
  // ethernet/aquantia/atlantic/aq_ethtool.c.
  'InDroppedDma',
  // ethernet/stmicro/stmmac/stmmac_ethtool.c.
  'rx_missed_cntr',
  'rx_overflow_cntr',
];

/** Left out where the other is there, which counts the same. */
const UNLESS: ReadonlyMap<string, string> = new Map([['rx_discards', 'rx_total_ring_discards']]);

/** Where drivers put the number of a queue, and what the name is without it. */
const QUEUE_NUMBERS: readonly (readonly [RegExp, string])[] = [
  // veth, igb, older virtio_net: `rx_queue_3_drops`; mana: `rx_3_xdp_drop`.
  [/^rx_(queue_)?\d+_/, 'rx_$1'],
  // mlx5, virtio_net: `rx3_drops`; mlx5, by priority: `rx_prio3_buf_discard`.
  [/^rx(_prio)?\d+_/, 'rx$1_'],
  // ena: `queue_3_rx_bad_desc_num`.
  [/^queue_\d+_/, 'queue_'],
  // gve: `rx_dropped_pkt[3]`.
  [/\[\d+\]$/, ''],
  // bnxt, bnx2x: `[3]: rx_discards`; be2net: `rxq3: rx_drops_no_frags`.
  [/^(\[\d+\]|rxq\d+): /, ''],
];

/**
 * Those of a driver's statistics that count lost packets of reception, by the driver's names, at
 * most RECEIVE_DROP_STATISTICS_MAX. Those of single queues are summed, under the name without the
 * queue's number, unless the driver tells the sum itself. A sum falls when queues are taken away.
 * Names are only decoded when they have changed.
 */
export class ReceiveDrops {
  readonly #call: EthtoolCall;
  readonly #known = new Map<string, { names: Uint8Array; positions: Positions }>();

  constructor(call: EthtoolCall) {
    this.#call = call;
  }

  /** Undefined where the driver has no statistics. Throws an EthtoolError. */
  read(device: string): Map<string, number> | undefined {
    const raw = rawStatistics(this.#call, device);
    if (raw === undefined) {
      this.#known.delete(device);
      return undefined;
    }
    let known = this.#known.get(device);
    if (known === undefined || Buffer.compare(known.names, raw.names) !== 0) {
      known = { names: raw.names, positions: receiveDropPositions(statisticNames(raw.names)) };
      this.#known.set(device, known);
    }
    return sums(known.positions, raw.value);
  }

  /** Forgets the names of all devices but these. */
  keepOnly(devices: Iterable<string>): void {
    const kept = new Set(devices);
    for (const device of this.#known.keys()) if (!kept.has(device)) this.#known.delete(device);
  }
}

/** By statistic, where its values stand among a driver's statistics. */
type Positions = ReadonlyMap<string, readonly number[]>;

function receiveDropPositions(names: readonly string[]): Positions {
  const own = new Map<string, number[]>();
  const ofQueues = new Map<string, number[]>();
  for (const [position, written] of names.entries()) {
    // vmxnet3 indents the names of each queue, and repeats them.
    const name = written.trim();
    const whole = withoutQueue(name);
    const positions = whole === name ? own : ofQueues;
    positions.set(whole, [...(positions.get(whole) ?? []), position]);
  }
  const has = (name: string | undefined) =>
    name !== undefined && (own.has(name) || ofQueues.has(name));
  const found = new Map<string, readonly number[]>();
  for (const statistic of RECEIVE_DROPS) {
    const positions = own.get(statistic) ?? ofQueues.get(statistic);
    if (positions === undefined || has(UNLESS.get(statistic))) continue;
    if (found.size < RECEIVE_DROP_STATISTICS_MAX) found.set(statistic, positions);
  }
  return found;
}

function withoutQueue(name: string): string {
  for (const [pattern, replacement] of QUEUE_NUMBERS) {
    if (pattern.test(name)) return name.replace(pattern, replacement);
  }
  return name;
}

function sums(positions: Positions, value: (position: number) => number): Map<string, number> {
  const summed = new Map<string, number>();
  for (const [statistic, where] of positions)
    summed.set(
      statistic,
      where.reduce((sum, position) => sum + value(position), 0),
    );
  return summed;
}
