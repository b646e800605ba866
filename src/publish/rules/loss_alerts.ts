// Alerts on lost packets. Each reason that means loss (loss_reasons.ts) belongs to exactly one of them.

import { BACKLOG_REASONS, LOSS_REASONS, NO_LOSS, SOCKET_BUFFER_REASONS } from './loss_reasons.ts';
import type { Alert } from './model.ts';
import { recorded } from './recorded.ts';
import { increase, MINUTE, SHORT_WINDOW, series, type Terms } from './terms.ts';

export function lossAlerts(terms: Terms): Alert[] {
  return [drops(terms), socketBuffer(terms), backlog(terms), listenQueue(terms)];
}

const SHARE =
  '{{ $value | humanizePercentage }} of the packets that {{ $labels.instance }} receives';

/** A share of received packets, which needs some packets to be one. */
function share(terms: Terms, reasons: string, above: 'dropsWarning' | 'dropsCritical'): string {
  const names = recorded(terms);
  return `${series(terms, names.drops, `reason=~"${reasons}"`)} > ${terms.threshold(above)}
and ignoring (reason)
${series(terms, names.received)} >= ${terms.threshold('packetRateMin')}`;
}

function drops(terms: Terms): Alert {
  return {
    name: 'RxscopeDrops',
    conditions: [
      {
        severity: 'warning',
        expr: share(terms, terms.lossReasons, 'dropsWarning'),
        // Twice the window: one burst does not last that long.
        holds: terms.time(10 * MINUTE),
      },
      {
        severity: 'critical',
        expr: share(terms, terms.lossReasons, 'dropsCritical'),
        holds: terms.time(2 * MINUTE),
      },
    ],
    summary: 'Received packets are lost.',
    description: `${SHARE} are dropped: {{ $labels.reason }}.`,
    runbook: {
      meaning: `Packets that somebody wanted are dropped, as a share of all that the host receives. The label \`reason\` is the kernel’s own, or \`(card)\`:\n\n${table('reason', LOSS_REASONS)}\n\nFull socket buffers and backlogs have alerts of their own. These reasons are no loss and never alert (\`--loss-reason\` adds what is one here):\n\n${table('reason', NO_LOSS)}`,
      look: [
        'Which device: `rxscope_drops_total` by `device` and `reason`; for `(card)` `rxscope_packets_dropped_total{where="device"}` and the driver’s own statistics.',
        'The recent drops: function, port, protocol.',
        '`(card)`: is a CPU at its limit (RxscopeSoftirqBusy), or is the ring small? Checksums: one sender, one path, or all?',
      ],
      commands: [
        'curl -s http://127.0.0.1:10750/api/v1/drops   # the recent ones: reason, function, ports',
        'ethtool -S eth0 | grep -iE "drop|miss|err|no_buf"',
        'ethtool -g eth0                               # receive ring: used and maximum',
        'nstat -az | grep -iE "drop|prune|mem|csum"',
        'sysctl net.ipv4.udp_mem net.ipv4.tcp_mem',
      ],
      changes: [
        {
          change: '`(card)`: a larger ring, `ethtool -G eth0 rx 4096`',
          costs: 'up to 600 µs of latency under a burst',
        },
        { change: '`(card)`: more queues, spread interrupts', costs: 'CPUs that applications had' },
        { change: 'memory: `net.ipv4.udp_mem`, `tcp_mem`', costs: 'memory, in pages' },
        {
          change: '`FULL_RING`: a longer queue, or a quicker reader of the tun or packet socket',
          costs: 'memory',
        },
        {
          change: 'checksums: cable, transceiver, card, or the sender’s offload',
          costs: 'hardware',
        },
      ],
    },
  };
}

function table(head: string, rows: Readonly<Record<string, string>>): string {
  const lines = Object.entries(rows).map(([reason, says]) => {
    const words = reason.split(', ').map((word) => `\`${word}\``);
    return `| ${words.join(', ')} | ${says} |`;
  });
  return [`| ${head} | |`, '|---|---|', ...lines].join('\n');
}

/** Drops that keep coming: a single burst is over before the short window has passed. */
function sustained(terms: Terms, reasons: readonly string[]): string {
  const matcher = `reason=~"${reasons.join('|')}"`;
  return `sum without (device) (${increase(terms, 'rxscope_drops_total', matcher, SHORT_WINDOW)}) > 0`;
}

/** A warning while it keeps happening, critical as a share of all that is received. */
function fullQueue(
  terms: Terms,
  reasons: readonly string[],
  because: string,
): Pick<Alert, 'conditions' | 'description'> {
  const why = `because ${because} ({{ $labels.reason }}).`;
  return {
    conditions: [
      { severity: 'warning', expr: sustained(terms, reasons), holds: terms.time(5 * MINUTE) },
      {
        severity: 'critical',
        expr: share(terms, reasons.join('|'), 'dropsCritical'),
        holds: terms.time(2 * MINUTE),
        description: `${SHARE} are dropped ${why}`,
      },
    ],
    description: `{{ $value | humanize }} packets were dropped in ${terms.time(SHORT_WINDOW)} at {{ $labels.instance }} ${why}`,
  };
}

function socketBuffer(terms: Terms): Alert {
  return {
    name: 'RxscopeSocketBufferFull',
    ...fullQueue(terms, SOCKET_BUFFER_REASONS, 'the receive buffer of a socket is full'),
    summary: 'An application does not read its socket in time, and packets are lost.',
    runbook: {
      meaning: `A receive buffer is full: its process reads too slowly, or not at all, and the kernel drops what comes (reason \`${SOCKET_BUFFER_REASONS[0]}\`). Warning: it keeps happening. Critical: it is more than ${terms.percent('dropsCritical')} of all that the host receives.`,
      look: [
        'Which socket: `d` in `ss`, `drops` in `/proc/net/udp`; the ports of the recent drops.',
        'Does its process run? Does it wait for a disk, a lock, a CPU? `wakeup_to_run` and `socket_to_read`, where they are on.',
        'Bursts, or more load than the reader can ever take?',
      ],
      commands: [
        'ss -uanmp | grep -B1 ",d[1-9]"                  # sockets that dropped, with their process',
        'nsenter --target PID --net ss -uanmp           # those of a container: PID is any process in it',
        'curl -s http://127.0.0.1:10750/api/v1/drops    # ports of the recent drops',
        'nstat -az UdpRcvbufErrors Udp6RcvbufErrors',
        'rxscope trace packet_latency                   # how long packets wait for each reader',
      ],
      changes: [
        {
          change: 'the reader: read more often, in batches (`recvmmsg`), with more threads',
          costs: 'its CPU',
        },
        { change: 'several sockets with `SO_REUSEPORT`', costs: 'the order between flows' },
        {
          change: 'a larger buffer: `SO_RCVBUF` up to `net.core.rmem_max`',
          costs: 'memory, and latency as long as the queue: it helps against bursts only',
        },
        {
          change: 'a higher priority for the reader (`chrt`, `nice`, a CPU of its own)',
          costs: 'other tasks',
        },
      ],
    },
  };
}

function backlog(terms: Terms): Alert {
  return {
    name: 'RxscopeBacklogFull',
    ...fullQueue(terms, BACKLOG_REASONS, 'the backlog of a CPU is full'),
    summary: 'The backlog of a CPU is full, and packets are lost.',
    runbook: {
      meaning: `Packets that RPS, loopback, veth or a tunnel hands to a CPU wait on its backlog, and that is full (reason \`${BACKLOG_REASONS[0]}\`). That CPU is too busy, or gets too large a part. Warning: it keeps happening. Critical: it is more than ${terms.percent('dropsCritical')} of all that the host receives; it may be above 100 %, since these are dropped before they count as received.`,
      look: [
        'Which CPU: `rxscope_softnet_dropped_total` by `cpu`; how long packets wait there: the probe `backlog_wait`.',
        'Why that one: `rps_cpus`, or the CPU of the sender on loopback and veth.',
        'What else runs there, and its share of softirq time.',
      ],
      commands: [
        'cat /proc/net/softnet_stat                           # a row a CPU: second column, dropped',
        'grep . /sys/class/net/*/queues/rx-*/rps_cpus',
        'sysctl net.core.netdev_max_backlog net.core.flow_limit_cpu_bitmap',
        'mpstat -P ALL 1 5',
      ],
      changes: [
        {
          change: 'a longer backlog: `sysctl net.core.netdev_max_backlog=5000`',
          costs: 'latency: a full one of 1,000 packets at 1 µs each is a millisecond',
        },
        {
          change: 'spread: more CPUs in `rps_cpus`, or hardware queues in place of RPS',
          costs: 'CPUs',
        },
        { change: 'move other work away from that CPU', costs: 'where it goes to' },
      ],
    },
  };
}

function listenQueue(terms: Terms): Alert {
  const listen = 'protocol="TcpExt",counter="ListenDrops"';
  return {
    name: 'RxscopeListenQueueFull',
    conditions: [
      {
        severity: 'warning',
        expr: `${increase(terms, 'rxscope_protocol_drops_total', listen, SHORT_WINDOW)} > 0`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'A listening socket has no room for new connections.',
    description: `{{ $value | humanize }} attempts to connect found no room in a queue of a listening socket at {{ $labels.instance }} in ${terms.time(SHORT_WINDOW)}.`,
    runbook: {
      meaning:
        'A listening TCP socket’s accept queue, or its queue of half-open connections, is full. Clients wait for a second and more until they try again. The kernel does not count these SYNs as drops, so neither `rxscope_drops_total` nor `RxscopeDrops` has them. Only sockets of the agent’s own network namespace are seen.',
      look: [
        'Which socket: `Recv-Q` at or above `Send-Q` in the list of listening sockets.',
        'Does its process accept? A flood of SYNs, or real clients?',
      ],
      commands: [
        'ss -ltn',
        'nstat -az TcpExtListenOverflows TcpExtListenDrops TcpExtTCPReqQFullDrop',
      ],
      changes: [
        {
          change: 'a longer queue: the backlog of `listen()`, and `net.core.somaxconn`',
          costs: 'memory, and clients that wait in a longer queue',
        },
        { change: 'more threads or processes that accept (`SO_REUSEPORT`)', costs: 'CPU' },
        {
          change: 'SYN cookies against floods: `sysctl net.ipv4.tcp_syncookies=1`',
          costs: 'TCP options of such connections',
        },
      ],
    },
  };
}
