// What drivers mean by the names of their interrupts.

import { expect, test } from 'vitest';
import { type Meaning, meaningOf, namesDevice } from '../../src/host/interrupt_names.ts';

/** Names of the device, its bus device and its driver, as sysfs has them. */
type Names = readonly string[];

const rows: readonly [action: string, names: Names, meaning: Meaning][] = [
  ['eth0-TxRx-3', ['eth0', 'ixgbe'], { queue: 3, direction: 'rxtx' }],
  ['i40e-eth0-TxRx-5', ['eth0', 'i40e'], { queue: 5, direction: 'rxtx' }],
  ['i40e-0000:04:00.0:misc', ['eth0', '0000:04:00.0', 'i40e'], { direction: 'other' }],
  ['i40e-0000:04:00.0:fdir-TxRx-0', ['eth0', '0000:04:00.0', 'i40e'], { direction: 'other' }],
  ['ice-0000:65:00.0:ctrl-TxRx-0', ['lan0', '0000:65:00.0', 'ice'], { direction: 'other' }],
  ['iavf-ens1f1v3-TxRx-3', ['ens1f1v3', 'iavf'], { queue: 3, direction: 'rxtx' }],
  ['iavf-0000:3b:0b.0:mbx', ['ens1f1v3', '0000:3b:0b.0', 'iavf'], { direction: 'other' }],
  ['ens5-Tx-Rx-1', ['ens5', 'ena'], { queue: 1, direction: 'rxtx' }],
  ['ena-mgmnt@pci:0000:00:05.0', ['ens5', '0000:00:05.0', 'ena'], { direction: 'other' }],
  [
    'mlx5_comp7@pci:0000:81:00.0',
    ['eth0', '0000:81:00.0', 'mlx5_core'],
    { queue: 7, direction: 'rxtx' },
  ],
  ['mlx5_async0@pci:0000:81:00.0', ['eth0', '0000:81:00.0', 'mlx5_core'], { direction: 'other' }],
  ['mlx4-3@0000:03:00.0', ['eth0', '0000:03:00.0', 'mlx4_core'], { queue: 3, direction: 'rxtx' }],
  ['ens1-11', ['ens1', 'mlx5_core'], { queue: 11, direction: 'rxtx' }],
  ['virtio2-input.0', ['eth0', 'virtio2', 'virtio_net'], { queue: 0, direction: 'rx' }],
  ['virtio12-output.11', ['eth0', 'virtio12', 'virtio_net'], { queue: 11, direction: 'tx' }],
  ['virtio2-config', ['eth0', 'virtio2', 'virtio_net'], { direction: 'other' }],
  ['virtio2-virtqueues', ['eth0', 'virtio2', 'virtio_net'], { direction: 'rxtx' }],
  ['eth0-rx-2', ['eth0', 'igb'], { queue: 2, direction: 'rx' }],
  ['eth0-tx-0', ['eth0', 'e1000e'], { queue: 0, direction: 'tx' }],
  ['enp0s8f0:rx-3', ['enp0s8f0', 'intel-eth-pci'], { queue: 3, direction: 'rx' }],
  ['ens192-rxtx-2', ['ens192', 'vmxnet3'], { queue: 2, direction: 'rxtx' }],
  ['ens192-event-4', ['ens192', 'vmxnet3'], { direction: 'other' }],
  ['eth3-fp-0', ['eth3', 'bnx2x'], { queue: 0, direction: 'rxtx' }],
  ['eth0-q0-rx', ['eth0', 'vif-0', 'vif'], { queue: 0, direction: 'rx' }],
  ['eth0-q1-tx', ['eth0', 'vif-0', 'vif'], { queue: 1, direction: 'tx' }],
  ['enp5s0f4d1 (queue 11)', ['enp5s0f4d1', 'cxgb4'], { queue: 11, direction: 'rxtx' }],
  ['mana_q3@pci:7870:00:00.0', ['eth0', '7870:00:00.0', 'mana'], { queue: 3, direction: 'rxtx' }],
  ['mana_hwc@pci:7870:00:00.0', ['eth0', '7870:00:00.0', 'mana'], { direction: 'other' }],
  ['gve-ntfy-blk1@pci:0000:00:04.0', ['eth0', '0000:00:04.0', 'gve'], { direction: 'rxtx' }],
  ['eth%d-ntfy-block.3', ['eth0', 'gve'], { direction: 'rxtx' }],
  ['c080000.ethernet:txq12', ['eth0', 'c080000.ethernet', 'edma'], { queue: 12, direction: 'tx' }],
  ['iwlwifi:queue_2', ['wlp1s0', 'iwlwifi'], { queue: 2, direction: 'rx' }],
  ['iwlwifi: queue 14', ['wlp1s0', 'iwlwifi'], { queue: 14, direction: 'rx' }],
  ['iwlwifi:default_queue', ['wlp1s0', 'iwlwifi'], { queue: 0, direction: 'rx' }],
  ['iwlwifi: default queue', ['wlp1s0', 'iwlwifi'], { queue: 0, direction: 'rx' }],
  ['iwlwifi: exception', ['wlp1s0', 'iwlwifi'], { direction: 'other' }],
  ['eth0', ['eth0', 'r8169'], { direction: 'plain' }],
  ['virtio2', ['eth0', 'virtio2', 'virtio_net'], { direction: 'plain' }],
  ['ath10k_pci', ['wlan0', '0000:03:00.0', 'ath10k_pci'], { direction: 'plain' }],
  // Devices that are named like queues.
  ['rx0-TxRx-7', ['rx0', 'ixgbe'], { queue: 7, direction: 'rxtx' }],
  ['tx3', ['tx3', 'r8169'], { direction: 'plain' }],
  // Nobody here knows it, so nothing is claimed.
  ['eth0-frobnicate-3', ['eth0', 'new'], { direction: 'other' }],
  ['xrx200_net_rx', ['eth0', '1e10b308.eth', 'xrx200'], { direction: 'rx' }],
  ['', ['eth0', 'ena'], { direction: 'other' }],
];

test.each(rows)('%s means what its driver means', (action, names, meaning) => {
  expect(meaningOf(action, names)).toEqual(meaning);
});

test.each([
  ['eth10-TxRx-1', 'eth1', false],
  ['eth1-TxRx-1', 'eth1', true],
  ['peth1', 'eth1', false],
  ['i40e-eth1-TxRx-1', 'eth1', true],
  ['eth10, eth1', 'eth1', true],
  ['virtio21-input.0', 'virtio2', false],
  ['mlx5_comp1@pci:0000:81:00.0', '0000:81:00.0', true],
  ['mlx5_comp1@pci:0000:81:00.0', '', false],
])('%s names the device %s: %s', (action, name, does) => {
  expect(namesDevice(action, [name])).toBe(does);
});
