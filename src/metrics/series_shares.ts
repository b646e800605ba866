// Which families may be folded when the cap on series is reached, by which labels, and what share
// of the series each is sure of. A family that is not listed is never folded: its labels are few.

import { PROBES } from '../probes/index.ts';
import { labelsOf, type Probe } from '../probes/probe.ts';

export interface Share {
  /**
   * Rows (label sets) that the family is sure of with everything on and the default series_max. All
   * shares grow and shrink together with what is left for them.
   */
  readonly rows: number;
  /** Labels that say "(other)" in the row that the others are summed into; the rest are kept. */
  readonly fold: readonly string[];
  /** A row with this label has a place from the start and keeps it: what rxscope is about. */
  readonly first?: { readonly label: string; readonly value: string };
}

const NET_RX_FIRST = { label: 'vector', value: 'NET_RX' };

/** A probe's rows are folded by its first label. */
function latencyShare(probe: Probe): Share {
  return {
    rows: probe.rows,
    fold: [...labelsOf(probe).slice(0, 1), 'cpu'],
    ...(probe.by === 'vector' ? { first: NET_RX_FIRST } : {}),
  };
}

/**
 * By family. A row of a latency is 32 series, of rxscope_napi_poll_packets 13, of any other 1: these are
 * 1,415 series. Never folded are about 320 of the agent's own with everything on, and 19 a CPU, 323 at
 * most (shown_cpus.ts). So on a large machine with everything on the shares shrink by 5 %.
 *
 * A machine of 8 CPUs with loopback and one card of 8 queues needs 1,500 series for the probes that are
 * on by default (latencies 960, CPUs 152, others of this list 165), and 2,350 with everything on.
 * test/metrics/many_cpus.test.ts holds what is folded then.
 */
export const SHARES: Readonly<Record<string, Share>> = {
  ...Object.fromEntries(
    PROBES.map((probe) => [`rxscope_${probe.id}_seconds`, latencyShare(probe)]),
  ),
  rxscope_napi_poll_packets: { rows: 3, fold: ['device', 'cpu'] },
  rxscope_over_budget_total: { rows: 30, fold: ['device'] },
  rxscope_received_packets_total: { rows: 12, fold: ['device'] },
  rxscope_napi_budget_exhausted_total: { rows: 8, fold: ['device'] },
  rxscope_drops_total: { rows: 40, fold: ['device'] },
  rxscope_packets_dropped_total: { rows: 16, fold: ['device'] },
  rxscope_interrupts_total: { rows: 60, fold: ['irq', 'queue', 'cpu'] },
  rxscope_interface_receive_packets_total: { rows: 20, fold: ['device'] },
  rxscope_interface_receive_drops_total: { rows: 20, fold: ['device'] },
  rxscope_interface_receive_errors_total: { rows: 16, fold: ['device'] },
  rxscope_interface_driver_drops_total: { rows: 20, fold: ['device'] },
  // Settings: never folded, but left out beyond the room.
  rxscope_device_info: { rows: 20, fold: [] },
  rxscope_device_receive_queues: { rows: 18, fold: [] },
  rxscope_device_receive_ring_descriptors: { rows: 18, fold: [] },
  rxscope_device_receive_ring_descriptors_max: { rows: 18, fold: [] },
  rxscope_device_receive_coalescing_seconds: { rows: 18, fold: [] },
  rxscope_device_rps_queues: { rows: 18, fold: [] },
};
