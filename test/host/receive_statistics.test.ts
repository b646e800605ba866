// Which statistics of a driver are told as receive drops. The names are those of real drivers: of
// emulated cards as captured from guests (fixtures/driver_statistics.json), of others as their
// sources in the kernel build them (modelled: each says from where).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LINK_STATISTICS } from '../../src/host/links.ts';
import { RECEIVE_DROP_STATISTICS_MAX, ReceiveDrops } from '../../src/host/receive_statistics.ts';
import { modelledDriver } from './modelled_driver.ts';

const CAPTURED = JSON.parse(
  readFileSync(new URL('fixtures/driver_statistics.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, readonly string[]>>;

/** Each name's value is its position and one, so that every sum tells what is in it. */
function told(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(new ReceiveDrops(modelledDriver({ names })).read('eth0') ?? []);
}

const queues = (count: number, names: (queue: number) => readonly string[]): string[] =>
  Array.from({ length: count }, (_, queue) => names(queue)).flat();

describe('of a captured driver', () => {
  test.each([
    ['e1000e 6.1', ['rx_no_buffer_count', 'alloc_rx_buff_failed']],
    ['e1000 6.1', ['rx_no_buffer_count', 'alloc_rx_buff_failed']],
    ['virtio_net 6.1', ['rx_queue_drops', 'rx_queue_xdp_drops']],
    ['virtio_net 7.2', ['rx_drops', 'rx_xdp_drops']],
    ['veth 6.1', ['rx_queue_drops', 'rx_queue_xdp_drops']],
    ['vmxnet3 6.1', ['drv dropped rx total', 'pkts rx OOB', 'pkts rx err', 'rx buf alloc fail']],
    ['8139cp 6.1', []],
  ])('%s', (driver, expected) => {
    const names = CAPTURED[driver] ?? [];
    expect(names.length).toBeGreaterThan(8);
    expect(Object.keys(told(names))).toEqual(expected);
  });
});

describe('of a modelled driver', () => {
  test('mlx5: the sum over all channels is told by the driver, single ones are not added to it', () => {
    // drivers/net/ethernet/mellanox/mlx5/core/en_stats.c: sw_stats_desc, rq_stats_desc.
    const names = [
      'rx_packets',
      'rx_xdp_drop',
      'rx_wqe_err',
      'rx_buff_alloc_err',
      'rx_out_of_buffer',
      'rx_discards_phy',
      'rx_128_to_255_bytes_phy',
      ...queues(8, (n) => [`rx_prio${n}_buf_discard`, `rx_prio${n}_discards`]),
      ...queues(64, (n) => [`rx${n}_packets`, `rx${n}_wqe_err`, `rx${n}_xdp_drop`]),
    ];
    expect(told(names)).toEqual({
      rx_out_of_buffer: 5,
      rx_discards_phy: 6,
      rx_prio_buf_discard: 8 + 10 + 12 + 14 + 16 + 18 + 20 + 22,
      rx_wqe_err: 3,
      rx_buff_alloc_err: 4,
      rx_xdp_drop: 2,
    });
  });

  test('ena: queues are summed', () => {
    // drivers/net/ethernet/amazon/ena/ena_ethtool.c: ena_stats_rx_strings, ena_stats_eni_strings.
    const names = [
      'bw_in_allowance_exceeded',
      'pps_allowance_exceeded',
      ...queues(3, (n) => [`queue_${n}_tx_cnt`, `queue_${n}_rx_cnt`, `queue_${n}_rx_bad_desc_num`]),
    ];
    expect(told(names)).toEqual({
      bw_in_allowance_exceeded: 1,
      pps_allowance_exceeded: 2,
      queue_rx_bad_desc_num: 5 + 8 + 11,
    });
  });

  test('gve: the number of a queue stands at the end', () => {
    // drivers/net/ethernet/google/gve/gve_ethtool.c: gve_gstrings_rx_stats.
    const names = queues(2, (n) => [`rx_bytes[${n}]`, `rx_queue_drop_cnt[${n}]`]);
    expect(told(names)).toEqual({ rx_queue_drop_cnt: 2 + 4 });
  });

  test('bnxt: the sum that survives resets replaces that of the rings', () => {
    // drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c: bnxt_ring_err_stats_arr.
    const rings = queues(2, (n) => [`[${n}]: rx_ucast_packets`, `[${n}]: rx_discards`]);
    expect(told(rings)).toEqual({ rx_discards: 2 + 4 });
    expect(told([...rings, 'rx_total_ring_discards'])).toEqual({ rx_total_ring_discards: 5 });
  });

  test('be2net: a queue is named before a colon', () => {
    // drivers/net/ethernet/emulex/benet/be_ethtool.c: et_rx_stats.
    const names = queues(2, (n) => [`rxq${n}: rx_bytes`, `rxq${n}: rx_drops_no_frags`]);
    expect(told([...names, 'rx_drops_no_pbuf'])).toEqual({
      rx_drops_no_pbuf: 5,
      rx_drops_no_frags: 2 + 4,
    });
  });
});

test('what is a counter of the link is not told a second time', () => {
  expect(told(LINK_STATISTICS)).toEqual({});
});

test('a driver that had every name would be told no more than the limit', () => {
  const all = Object.values(CAPTURED).flat();
  const source = readFileSync(
    new URL('../../src/host/receive_statistics.ts', import.meta.url),
    'utf8',
  );
  const known = [...source.matchAll(/^ {2}'([^']+)',$/gm)].map(([, name]) => name ?? '');
  expect(known.length).toBeGreaterThan(50);
  expect(new Set(known).size).toBe(known.length);
  expect(Object.keys(told([...all, ...known])).length).toBe(RECEIVE_DROP_STATISTICS_MAX);
});

describe('read from a driver', () => {
  test('every sum is that of a first look, also when names and number change', () => {
    const model = { names: queues(5, (n) => [`rx_queue_${n}_packets`, `rx_queue_${n}_drops`]) };
    const drops = new ReceiveDrops(modelledDriver(model));
    const check = () => {
      const read = Object.fromEntries(drops.read('eth0') ?? []);
      expect(read).toEqual(told(model.names));
      return read;
    };
    expect(check()).toEqual({ rx_queue_drops: 2 + 4 + 6 + 8 + 10 });
    expect(check()).toEqual({ rx_queue_drops: 2 + 4 + 6 + 8 + 10 });
    // As many statistics as before, of other names.
    model.names = queues(5, (n) => [`rx_queue_${n}_drops`, `tx_queue_${n}_packets`]);
    expect(check()).toEqual({ rx_queue_drops: 1 + 3 + 5 + 7 + 9 });
    model.names = model.names.slice(0, 2);
    expect(check()).toEqual({ rx_queue_drops: 1 });
  });

  test('a device whose driver has none is undefined, also after it had some', () => {
    const model: { names: readonly string[] } = { names: ['rx_drops'] };
    const drops = new ReceiveDrops(modelledDriver(model));
    expect(drops.read('eth0')).toEqual(new Map([['rx_drops', 1]]));
    model.names = [];
    expect(drops.read('eth0')).toBeUndefined();
    drops.keepOnly([]);
    model.names = ['rx_drops'];
    expect(drops.read('eth0')).toEqual(new Map([['rx_drops', 1]]));
  });
});
