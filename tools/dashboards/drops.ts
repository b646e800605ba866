// Drops and queues: where packets are lost, from the card to the socket, and the queues before each.

import { lines, single } from './charts.ts';
import { dashboard } from './frame.ts';
import { steps } from './panel.ts';
import { FLEET, group, lost, otherDevices, quantile, rate, sumRate } from './queries.ts';
import { grid } from './tables.ts';

const ON_DEVICE = `${FLEET},device=~"$device"`;
const HOST = ['job', 'instance'];
/** Lines of hosts in one panel; more cannot be told apart. */
const HOSTS_MAX = 15;

export const drops = dashboard({
  uid: 'rxscope-drops',
  title: 'rxscope / Drops and queues',
  description:
    'Where packets are lost on their way in: card, backlog, protocol, socket; and how full the queues are.',
  hosts: 'any',
  devices: true,
  rows: [
    {
      id: 10,
      title: 'Lost packets, each counted once',
      panels: [
        single({
          id: 11,
          alert: 'RxscopeDrops',
          title: 'Dropped',
          unit: 'pps',
          width: 6,
          expr: sumRate('rxscope_packets_dropped_total', ON_DEVICE),
          thresholds: steps(),
          reading:
            'Packets dropped by cards and kernels for any reason, each counted once; many on purpose, such as by a firewall.',
          remedy: 'The panels below say by whom and why.',
        }),
        single({
          id: 12,
          alert: 'RxscopeDrops',
          title: 'Lost, of received',
          unit: 'percentunit',
          width: 6,
          expr: `${lost(ON_DEVICE)} / ${sumRate('rxscope_received_packets_total', ON_DEVICE)}`,
          thresholds: steps([0.0001, 'orange'], [0.01, 'red']),
          reading:
            'Packets dropped for reasons that mean loss, and by cards, as a share of those received; the runbook lists the reasons.',
          remedy: 'Above 0.01 % look for the reason, above 1 % at once.',
        }),
        single({
          id: 13,
          alert: 'RxscopeSocketBufferFull',
          title: 'Socket buffers full',
          unit: 'pps',
          width: 6,
          expr: sumRate('rxscope_drops_total', `reason="SOCKET_RCVBUFF",${ON_DEVICE}`),
          thresholds: steps([1, 'orange']),
          reading: 'Packets for which a socket’s receive buffer had no room.',
          remedy:
            'The reader is too slow, or the buffer too small for its bursts: `ss -ulnpm` shows both.',
        }),
        single({
          id: 14,
          alert: 'RxscopeBacklogFull',
          title: 'Backlogs full',
          unit: 'pps',
          width: 6,
          expr: sumRate('rxscope_drops_total', `reason="CPU_BACKLOG",${ON_DEVICE}`),
          thresholds: steps([1, 'orange']),
          reading: 'Packets for which the backlog of a CPU had no room.',
          remedy: 'Spread with RPS over more CPUs, or raise net.core.netdev_max_backlog.',
        }),
        lines({
          id: 15,
          title: 'Drops by reason',
          unit: 'pps',
          width: 12,
          stacked: true,
          many: true,
          queries: [
            { expr: sumRate('rxscope_drops_total', ON_DEVICE, ['reason']), legend: '{{reason}}' },
          ],
          reading:
            'Packets freed undelivered on the receive path, by the kernel’s own reason; before Linux 5.17 by the function that freed them. NOT_SPECIFIED: the kernel gives none.',
          remedy: '`/api/v1/drops` of the agent lists the latest with function, device and ports.',
        }),
        lines({
          id: 16,
          title: 'Drops by device',
          unit: 'pps',
          width: 6,
          stacked: true,
          queries: [
            {
              expr: otherDevices(sumRate('rxscope_packets_dropped_total', ON_DEVICE, ['device'])),
              legend: '{{device}}',
            },
          ],
          reading: 'The same by the device that the packet came in by.',
          remedy: 'All on one device: its link, ring or driver. On (other netns): in a container.',
        }),
        lines({
          id: 17,
          title: 'Card or kernel',
          unit: 'pps',
          width: 6,
          stacked: true,
          queries: [
            {
              expr: sumRate('rxscope_packets_dropped_total', ON_DEVICE, ['where']),
              legend: '{{where}}',
            },
          ],
          reading:
            '`device`: the card dropped before the kernel saw the packet. `kernel`: the kernel did, for the reasons on the left.',
          remedy:
            'Drops of the card: a larger ring (`ethtool -G`), or more CPU time for its interrupts.',
        }),
      ],
    },
    {
      id: 20,
      title: 'Sockets',
      panels: [
        lines({
          id: 21,
          title: 'UDP',
          unit: 'cps',
          width: 8,
          queries: [protocolDrops('Udp6?')],
          reading:
            'The protocol’s own counters, of the agent’s network namespace: RcvbufErrors is a full buffer, NoPorts nobody who listens. InErrors contains the others.',
          remedy: 'RcvbufErrors: read faster, or raise SO_RCVBUF and net.core.rmem_max.',
        }),
        lines({
          id: 22,
          alert: 'RxscopeListenQueueFull',
          title: 'TCP',
          unit: 'cps',
          width: 8,
          queries: [protocolDrops('Tcp|TcpExt')],
          reading:
            'What TCP gave up. ListenDrops are connections refused for want of room and are in no other total; ListenDrops contains ListenOverflows.',
          remedy:
            'ListenOverflows: accept faster, raise the listen backlog and net.core.somaxconn. TCPBacklogDrop: a process holds the socket’s lock.',
        }),
        lines({
          id: 23,
          title: 'IP',
          unit: 'cps',
          width: 8,
          queries: [protocolDrops('Ip6?|IpExt')],
          reading: 'What IP gave up: bad headers, addresses, routes, fragments that never came.',
          remedy: 'InAddrErrors and InNoRoutes point to routing, ReasmFails to lost fragments.',
        }),
        lines({
          id: 24,
          title: 'Wait in the socket (P99)',
          unit: 's',
          width: 12,
          logarithmic: true,
          queries: [
            {
              expr: quantile(0.99, 'socket_to_read', FLEET, ['protocol']),
              legend: '{{protocol}}',
              exemplars: true,
            },
          ],
          reading:
            'How long packets wait on a socket until the application reads them. Needs the probe socket_to_read, which is off by default.',
          remedy:
            'A slow reader: it comes before full buffers. Look at its scheduling and at Recv-Q of `ss`.',
        }),
        lines({
          id: 25,
          title: 'Dropped elsewhere than on the receive path',
          unit: 'pps',
          width: 12,
          queries: [topHosts(sumRate('rxscope_transmit_drops_total', FLEET, HOST))],
          reading: 'Packets freed undelivered on the way out; not in any panel above.',
          remedy: 'Look at the qdiscs (`tc -s qdisc`) and at neighbours that do not answer.',
        }),
      ],
    },
    {
      id: 30,
      title: 'Backlog and softnet',
      panels: [
        lines({
          id: 31,
          alert: 'RxscopeBacklogFull',
          title: 'Backlog dropped',
          unit: 'pps',
          width: 8,
          queries: [topHosts(sumRate('rxscope_softnet_dropped_total', FLEET, HOST))],
          reading: 'Packets that a full backlog refused, by host; a part of Drops by reason.',
          remedy:
            'See Interrupts and CPUs for which CPU; spread its load, or raise netdev_max_backlog.',
        }),
        lines({
          id: 32,
          title: 'Longest backlog',
          unit: 'short',
          width: 8,
          limit: 'limit',
          queries: [
            topHosts(`max by (job, instance) (rxscope_softnet_backlog_packets{${FLEET}})`),
            {
              expr: `min(rxscope_netdev_backlog_packets_max{${FLEET}})`,
              legend: 'limit',
            },
          ],
          reading:
            'Packets in the longest backlog of any CPU at the moment of the scrape; the dashed line is net.core.netdev_max_backlog.',
          remedy: 'A backlog that is seen at all is rarely empty: its CPU cannot keep up.',
        }),
        lines({
          id: 33,
          title: 'Flow limit',
          unit: 'pps',
          width: 8,
          queries: [topHosts(sumRate('rxscope_softnet_flow_limit_total', FLEET, HOST))],
          reading: 'Packets of a flow that had too much of a backlog, dropped to spare the others.',
          remedy: 'One flow floods the host: find it in `/api/v1/drops`.',
        }),
        lines({
          id: 34,
          alert: 'RxscopeNetRxSqueezed',
          title: 'Squeezed',
          unit: 'cps',
          width: 8,
          queries: [topHosts(sumRate('rxscope_softnet_times_squeezed_total', FLEET, HOST))],
          reading:
            'Times that NET_RX ended with work left, for it had used up its packets or its time.',
          remedy: 'Raise net.core.netdev_budget and netdev_budget_usecs, or spread the queues.',
        }),
        lines({
          id: 35,
          title: 'Packets a NAPI poll',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `histogram_quantile(0.99, ${sumRate('rxscope_napi_poll_packets_bucket', ON_DEVICE, ['device', 'le'])})`,
              legend: 'P99 {{device}}',
            },
            {
              expr: `${sumRate('rxscope_napi_poll_packets_sum', ON_DEVICE, ['device'])} / ${sumRate('rxscope_napi_poll_packets_count', ON_DEVICE, ['device'])}`,
              legend: 'mean {{device}}',
            },
          ],
          reading:
            'How many packets a poll handed over. Needs the probe napi_poll, which is off by default.',
          remedy: 'Near the budget (64): packets arrive faster than they are handled.',
        }),
        lines({
          id: 36,
          title: 'Polls that used up their budget',
          unit: 'cps',
          width: 8,
          queries: [
            {
              expr: sumRate('rxscope_napi_budget_exhausted_total', ON_DEVICE, ['device']),
              legend: '{{device}}',
            },
          ],
          reading: 'Polls after which more packets may have waited. Needs the probe napi_poll.',
          remedy: 'More queues, or more CPUs for them; see Interrupts and CPUs.',
        }),
      ],
    },
    {
      id: 40,
      title: 'Interfaces',
      panels: [
        lines({
          id: 41,
          title: 'Drops that the device counts',
          unit: 'pps',
          width: 8,
          queries: [
            {
              expr: `${sumRate('rxscope_interface_receive_drops_total', ON_DEVICE, ['device', 'counter'])}`,
              legend: '{{device}} {{counter}}',
            },
          ],
          reading:
            'For comparing, not for adding: rx_dropped contains drops of the kernel that are counted above too.',
          remedy: 'rx_missed_errors: the ring is too small or is not emptied in time.',
        }),
        lines({
          id: 42,
          title: 'Receive errors',
          unit: 'pps',
          width: 8,
          queries: [
            {
              expr: sumRate('rxscope_interface_receive_errors_total', ON_DEVICE, [
                'device',
                'counter',
              ]),
              legend: '{{device}} {{counter}}',
            },
          ],
          reading: 'Frames that arrived broken.',
          remedy: 'Cable, transceiver, switch port, or a wrong MTU.',
        }),
        lines({
          id: 43,
          title: 'Drops in the driver’s own words',
          unit: 'pps',
          width: 8,
          queries: [
            {
              expr: sumRate('rxscope_interface_driver_drops_total', ON_DEVICE, [
                'device',
                'statistic',
              ]),
              legend: '{{device}} {{statistic}}',
            },
          ],
          reading:
            'Statistics of `ethtool -S` that mean a lost packet, by the name that the driver gives.',
          remedy:
            'The driver’s documentation says what each means; often a ring without descriptors.',
        }),
        grid({
          id: 44,
          title: 'Rings and queues',
          unit: 'short',
          width: 24,
          columns: [
            { name: 'instance' },
            { name: 'device' },
            { name: 'receive queues', expr: perDevice('rxscope_device_receive_queues') },
            { name: 'with RPS', expr: perDevice('rxscope_device_rps_queues') },
            { name: 'descriptors', expr: perDevice('rxscope_device_receive_ring_descriptors') },
            { name: 'at most', expr: perDevice('rxscope_device_receive_ring_descriptors_max') },
            {
              name: 'coalescing',
              expr: perDevice('rxscope_device_receive_coalescing_seconds'),
              unit: 's',
            },
            {
              name: 'received',
              expr: `sum by (instance, device) (${rate('rxscope_interface_receive_packets_total', ON_DEVICE)})`,
              unit: 'pps',
            },
          ],
          reading:
            'How each device is set: receive queues, how many of them hand packets to other CPUs, ring descriptors and how many there could be, and how long an interrupt may be put off.',
          when: 'not what you expect',
          remedy:
            '`ethtool -L`, `-G` and `-C` change them; a larger ring holds bursts and adds latency.',
        }),
      ],
    },
  ],
});

function protocolDrops(protocols: string) {
  const selector = `protocol=~"${protocols}",${FLEET}`;
  return {
    expr: sumRate('rxscope_protocol_drops_total', selector, ['protocol', 'counter']),
    legend: '{{protocol}}{{counter}}',
  };
}

function topHosts(query: string) {
  return { expr: `topk(${HOSTS_MAX}, ${group(query)})`, legend: '{{instance}}' };
}

function perDevice(metric: string): string {
  return `max by (instance, device) (${metric}{${ON_DEVICE}})`;
}
