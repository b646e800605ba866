// Made by `rxscope rules`; change _config rather than this file:
//   (import 'mixin.libsonnet') + { _config+:: { rxscopeSelector: 'job="net"', softirqMax: '0.6' } }
{
  _config+:: {
    // What stands between the braces of every selector.
    rxscopeSelector: 'job="rxscope"',
    // auto, native or classic: which form of histogram the expressions read.
    rxscopeHistograms: 'auto',
    // The window of rates in seconds; all other times are in proportion.
    rxscopeWindowSeconds: 300,
    // The anchor of an alert's section is appended.
    rxscopeRunbookUrl: 'runbook.md',
    // Drop reasons that mean loss: an alternation of regular expressions, escaped for PromQL.
    rxscopeLossReasons: '\\\\(card\\\\)|PROTO_MEM|SOCKET_BACKLOG|TCP_LISTEN_OVERFLOW|TCP_OFO_QUEUE_PRUNE|TCP_OFO_DROP|PFMEMALLOC|NOMEM|FULL_RING|FRAG_REASM_TIMEOUT|IP_CSUM|TCP_CSUM|UDP_CSUM|SKB_CSUM|PKT_TOO_BIG|tcp_add_backlog',
    // P99 above its budget is critical from this many times the budget on
    criticalFactor: '5',
    // observations a second below which no latency alert fires: P99 of few is chance
    rateMin: '10',
    // share of observations that are to be within budget, for the burn rates
    objective: '0.99',
    // received packets a second below which no share of drops fires
    packetRateMin: '100',
    // drops of one reason as a share of received packets: warning above it
    dropsWarning: '0.0001',
    // the same share: critical above it
    dropsCritical: '0.01',
    // interrupts a second on one CPU
    interruptsMax: '100000',
    // share of a CPU’s time in softirqs; an imbalance counts from half of it on
    softirqMax: '0.4',
    // how many times the packets of the next busiest CPU one CPU may take
    imbalanceMax: '4',
    // NET_RX runs a second on one CPU that end with work left
    squeezesMax: '10',
    // share of events (outliers, drops) that may be lost
    eventsLostMax: '0.5',
    // days before the agent’s certificate expires: warning below it
    certificateWarningDays: '14',
    // the same: critical below it
    certificateCriticalDays: '3',
    // share of one CPU that the programs, or the agent’s process, may take
    costMax: '0.1',
  },

  local config = $._config,
  local duration(ms) =
    local step(sum, unit) = {
      rest: sum.rest % unit[1],
      text: sum.text + (if sum.rest >= unit[1] then std.floor(sum.rest / unit[1]) + unit[0] else ''),
    };
    std.foldl(step, [['d', 86400000], ['h', 3600000], ['m', 60000], ['s', 1000], ['ms', 1]], { rest: std.floor(ms + 0.5), text: '' }).text,
  local time(seconds) = duration(seconds * 1000 * config.rxscopeWindowSeconds / 300),
  local interval(seconds) = duration(std.min(seconds * 1000 * config.rxscopeWindowSeconds / 300, seconds * 1000)),
  local either(native, classic) =
    if config.rxscopeHistograms == 'native' then native
    else if config.rxscopeHistograms == 'classic' then classic
    else '(\n  ' + native + '\nor\n  ' + classic + '\n)',
  local values = config {
    time_5m: time(300),
    time_2m: time(120),
    time_1h: time(3600),
    time_1d: time(86400),
    time_6h: time(21600),
    time_30m: time(1800),
    time_2h: time(7200),
    time_3d: time(259200),
    time_15m: time(900),
    time_10m: time(600),
    time_1m: time(60),
    interval_2m: interval(120),
  },

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'rxscope.alerts.latency',
        rules: [
          {
            alert: 'RxscopeLatencyHigh',
            expr: '(\n  rxscope:latency_seconds:p99{%(rxscopeSelector)s,vector=~"(NET_RX)?"}\n  > ignoring (device, protocol, vector) group_left ()\n  rxscope_budget_seconds{%(rxscopeSelector)s}\n)\nand\nrxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s} >= %(rateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'Received packets are later than their budget.',
              description: 'P99 of {{ $labels.probe }}{{ with $labels.device }} on {{ . }}{{ end }}{{ with $labels.protocol }}, {{ . }},{{ end }}{{ with $labels.vector }}, {{ . }},{{ end }} at {{ $labels.instance }} is {{ $value | humanizeDuration }}; its budget is {{ with printf "rxscope_budget_seconds{job=%q,instance=%q,probe=%q}" $labels.job $labels.instance $labels.probe | query }}{{ . | first | value | humanizeDuration }}{{ end }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopelatencyhigh' % values,
            },
          },
          {
            alert: 'RxscopeLatencyHigh',
            expr: '(\n  rxscope:latency_seconds:p99{%(rxscopeSelector)s,vector=~"(NET_RX)?"}\n  > ignoring (device, protocol, vector) group_left ()\n  (%(criticalFactor)s * rxscope_budget_seconds{%(rxscopeSelector)s})\n)\nand\nrxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s} >= %(rateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'Received packets are later than their budget.',
              description: 'P99 of {{ $labels.probe }}{{ with $labels.device }} on {{ . }}{{ end }}{{ with $labels.protocol }}, {{ . }},{{ end }}{{ with $labels.vector }}, {{ . }},{{ end }} at {{ $labels.instance }} is {{ $value | humanizeDuration }}; its budget is {{ with printf "rxscope_budget_seconds{job=%q,instance=%q,probe=%q}" $labels.job $labels.instance $labels.probe | query }}{{ . | first | value | humanizeDuration }}{{ end }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopelatencyhigh' % values,
            },
          },
          {
            alert: 'RxscopeBudgetBurn',
            expr: '(\n(\n  rxscope:over_budget:ratio_rate%(time_1h)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 14.4 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:ratio_rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 14.4 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s} offset %(time_1h)s\n)\nor\n(\n  rxscope:over_budget:ratio_rate%(time_6h)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 6 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:ratio_rate%(time_30m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 6 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s} offset %(time_6h)s\n)\n)\nand\nsum without (protocol, vector) (rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s}) >= %(rateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'Too large a share of packets is over budget, for a long time.',
              description: '{{ $value | humanizePercentage }} of what {{ $labels.probe }}{{ with $labels.device }} on {{ . }}{{ end }} at {{ $labels.instance }} observed was over its budget of {{ with printf "rxscope_budget_seconds{job=%%q,instance=%%q,probe=%%q}" $labels.job $labels.instance $labels.probe | query }}{{ . | first | value | humanizeDuration }}{{ end }}; {{ %(objective)s | humanizePercentage }} are to be within.' % values,
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopebudgetburn' % values,
            },
          },
          {
            alert: 'RxscopeBudgetBurn',
            expr: '(\n(\n  rxscope:over_budget:ratio_rate%(time_1d)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 3 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:ratio_rate%(time_2h)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 3 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s} offset %(time_1d)s\n)\nor\n(\n  rxscope:over_budget:ratio_rate%(time_3d)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 1 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:ratio_rate%(time_6h)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"} > 1 * (1 - %(objective)s)\n  and\n  rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s} offset %(time_3d)s\n)\n)\nand\nsum without (protocol, vector) (rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s}) >= %(rateMin)s' % values,
            'for': '%(time_15m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'Too large a share of packets is over budget, for a long time.',
              description: '{{ $value | humanizePercentage }} of what {{ $labels.probe }}{{ with $labels.device }} on {{ . }}{{ end }} at {{ $labels.instance }} observed was over its budget of {{ with printf "rxscope_budget_seconds{job=%%q,instance=%%q,probe=%%q}" $labels.job $labels.instance $labels.probe | query }}{{ . | first | value | humanizeDuration }}{{ end }}; {{ %(objective)s | humanizePercentage }} are to be within.' % values,
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopebudgetburn' % values,
            },
          },
        ],
      },
      {
        name: 'rxscope.alerts.loss',
        rules: [
          {
            alert: 'RxscopeDrops',
            expr: 'rxscope:drops:ratio_rate%(time_5m)s{%(rxscopeSelector)s,reason=~"%(rxscopeLossReasons)s"} > %(dropsWarning)s\nand ignoring (reason)\nrxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s} >= %(packetRateMin)s' % values,
            'for': '%(time_10m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'Received packets are lost.',
              description: '{{ $value | humanizePercentage }} of the packets that {{ $labels.instance }} receives are dropped: {{ $labels.reason }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopedrops' % values,
            },
          },
          {
            alert: 'RxscopeDrops',
            expr: 'rxscope:drops:ratio_rate%(time_5m)s{%(rxscopeSelector)s,reason=~"%(rxscopeLossReasons)s"} > %(dropsCritical)s\nand ignoring (reason)\nrxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s} >= %(packetRateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'Received packets are lost.',
              description: '{{ $value | humanizePercentage }} of the packets that {{ $labels.instance }} receives are dropped: {{ $labels.reason }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopedrops' % values,
            },
          },
          {
            alert: 'RxscopeSocketBufferFull',
            expr: 'sum without (device) (increase(rxscope_drops_total{%(rxscopeSelector)s,reason=~"SOCKET_RCVBUFF|udp_queue_rcv_one_skb",device!="(removed)"}[%(time_2m)s])) > 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'An application does not read its socket in time, and packets are lost.',
              description: '{{ $value | humanize }} packets were dropped in %(time_2m)s at {{ $labels.instance }} because the receive buffer of a socket is full ({{ $labels.reason }}).' % values,
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopesocketbufferfull' % values,
            },
          },
          {
            alert: 'RxscopeSocketBufferFull',
            expr: 'rxscope:drops:ratio_rate%(time_5m)s{%(rxscopeSelector)s,reason=~"SOCKET_RCVBUFF|udp_queue_rcv_one_skb"} > %(dropsCritical)s\nand ignoring (reason)\nrxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s} >= %(packetRateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'An application does not read its socket in time, and packets are lost.',
              description: '{{ $value | humanizePercentage }} of the packets that {{ $labels.instance }} receives are dropped because the receive buffer of a socket is full ({{ $labels.reason }}).',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopesocketbufferfull' % values,
            },
          },
          {
            alert: 'RxscopeBacklogFull',
            expr: 'sum without (device) (increase(rxscope_drops_total{%(rxscopeSelector)s,reason=~"CPU_BACKLOG|enqueue_to_backlog",device!="(removed)"}[%(time_2m)s])) > 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'The backlog of a CPU is full, and packets are lost.',
              description: '{{ $value | humanize }} packets were dropped in %(time_2m)s at {{ $labels.instance }} because the backlog of a CPU is full ({{ $labels.reason }}).' % values,
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopebacklogfull' % values,
            },
          },
          {
            alert: 'RxscopeBacklogFull',
            expr: 'rxscope:drops:ratio_rate%(time_5m)s{%(rxscopeSelector)s,reason=~"CPU_BACKLOG|enqueue_to_backlog"} > %(dropsCritical)s\nand ignoring (reason)\nrxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s} >= %(packetRateMin)s' % values,
            'for': '%(time_2m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'The backlog of a CPU is full, and packets are lost.',
              description: '{{ $value | humanizePercentage }} of the packets that {{ $labels.instance }} receives are dropped because the backlog of a CPU is full ({{ $labels.reason }}).',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopebacklogfull' % values,
            },
          },
          {
            alert: 'RxscopeListenQueueFull',
            expr: 'increase(rxscope_protocol_drops_total{%(rxscopeSelector)s,protocol="TcpExt",counter="ListenDrops"}[%(time_2m)s]) > 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'A listening socket has no room for new connections.',
              description: '{{ $value | humanize }} attempts to connect found no room in a queue of a listening socket at {{ $labels.instance }} in %(time_2m)s.' % values,
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopelistenqueuefull' % values,
            },
          },
        ],
      },
      {
        name: 'rxscope.alerts.cpu',
        rules: [
          {
            alert: 'RxscopeInterruptStorm',
            expr: 'sum without (irq, device, queue) (rate(rxscope_interrupts_total{%(rxscopeSelector)s,cpu!="(other)"}[%(time_2m)s])) > %(interruptsMax)s' % values,
            'for': '%(time_1m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'A CPU is flooded with interrupts.',
              description: 'CPU {{ $labels.cpu }} of {{ $labels.instance }} handles {{ $value | humanize }} interrupts a second.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeinterruptstorm' % values,
            },
          },
          {
            alert: 'RxscopeSoftirqBusy',
            expr: 'rxscope:softirq_cpu:ratio_rate%(time_5m)s{%(rxscopeSelector)s} > %(softirqMax)s' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'A CPU spends much of its time in softirqs.',
              description: 'CPU {{ $labels.cpu }} of {{ $labels.instance }} is in softirqs for {{ $value | humanizePercentage }} of its time.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopesoftirqbusy' % values,
            },
          },
          {
            alert: 'RxscopeNetRxImbalance',
            expr: 'rxscope:softnet_processed:rate%(time_5m)s{%(rxscopeSelector)s} / ignoring (cpu) group_left () sum without (cpu) (rxscope:softnet_processed:rate%(time_5m)s{%(rxscopeSelector)s})\nand\n(\n  rxscope:softnet_processed:rate%(time_5m)s{%(rxscopeSelector)s}\n  > ignoring (cpu) group_left ()\n  (%(imbalanceMax)s * min without (cpu) (topk without (cpu) (2, rxscope:softnet_processed:rate%(time_5m)s{%(rxscopeSelector)s})))\n)\nand\nrxscope:softirq_cpu:ratio_rate%(time_5m)s{%(rxscopeSelector)s} > %(softirqMax)s / 2' % values,
            'for': '%(time_10m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'One CPU does the receive work of all.',
              description: 'CPU {{ $labels.cpu }} of {{ $labels.instance }} processes {{ $value | humanizePercentage }} of all received packets.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopenetrximbalance' % values,
            },
          },
          {
            alert: 'RxscopeNetRxSqueezed',
            expr: 'rate(rxscope_softnet_times_squeezed_total{%(rxscopeSelector)s,cpu!="(other)"}[%(time_5m)s]) > %(squeezesMax)s' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'NET_RX often ends with packets left.',
              description: 'On CPU {{ $labels.cpu }} of {{ $labels.instance }} {{ $value | humanize }} NET_RX runs a second end with work left.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopenetrxsqueezed' % values,
            },
          },
        ],
      },
      {
        name: 'rxscope.alerts.self',
        rules: [
          {
            alert: 'RxscopeAgentDown',
            expr: 'up{%(rxscopeSelector)s} == 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'An rxscope agent does not answer.',
              description: 'Prometheus cannot scrape rxscope at {{ $labels.instance }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeagentdown' % values,
            },
          },
          {
            alert: 'RxscopeAgentAbsent',
            expr: 'absent(up{%(rxscopeSelector)s})' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'Prometheus knows of no rxscope agent at all.',
              description: 'No target belongs to {{ with $labels.job }}job {{ . }}{{ else }}rxscope{{ end }}: no other alert on rxscope can fire.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeagentabsent' % values,
            },
          },
          {
            alert: 'RxscopeProbeDown',
            expr: 'rxscope_probe_up{%(rxscopeSelector)s} == 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'A probe that is switched on does not measure.',
              description: 'The probe {{ $labels.probe }} is not up at {{ $labels.instance }}.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeprobedown' % values,
            },
          },
          {
            alert: 'RxscopeEventsLost',
            expr: 'rate(rxscope_events_lost_total{%(rxscopeSelector)s}[%(time_5m)s]) / (rate(rxscope_events_lost_total{%(rxscopeSelector)s}[%(time_5m)s]) + rate(rxscope_events_total{%(rxscopeSelector)s}[%(time_5m)s])) > %(eventsLostMax)s' % values,
            'for': '%(time_15m)s' % values,
            labels: {
              severity: 'info',
            },
            annotations: {
              summary: 'Outliers or drops are counted but mostly not shown.',
              description: '{{ $value | humanizePercentage }} of the events of {{ $labels.probe }} at {{ $labels.instance }} are not sent to user space.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeeventslost' % values,
            },
          },
          {
            alert: 'RxscopeSeriesDropped',
            expr: 'sum without (family) (rxscope_series_dropped_total{%(rxscopeSelector)s,family!~"rxscope_softnet_.+|rxscope_softirqs_total|rxscope_cpu_seconds_total|rxscope_interrupts_total"}) > 0' % values,
            'for': '%(time_15m)s' % values,
            labels: {
              severity: 'info',
            },
            annotations: {
              summary: 'The cap on series was reached, and label sets are summed.',
              description: '{{ $value | humanize }} label sets of {{ $labels.instance }} have no series of their own: they are summed under (other).',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeseriesdropped' % values,
            },
          },
          {
            alert: 'RxscopeConfigurationRefused',
            expr: 'rxscope_config_last_reload_successful{%(rxscopeSelector)s} == 0' % values,
            'for': '%(time_5m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'An rxscope agent could not take over its changed configuration.',
              description: 'rxscope at {{ $labels.instance }} works with the configuration that it had before; its files as they are now will not start it again.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeconfigurationrefused' % values,
            },
          },
          {
            alert: 'RxscopeCertificateExpires',
            expr: 'rxscope_web_certificate_expiry_timestamp_seconds{%(rxscopeSelector)s} - time() < %(certificateWarningDays)s * 86400' % values,
            'for': '%(time_15m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'The certificate of an rxscope agent is about to expire.',
              description: 'The TLS certificate of rxscope at {{ $labels.instance }} expires in {{ $value | humanizeDuration }}; from then on Prometheus refuses to scrape it.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopecertificateexpires' % values,
            },
          },
          {
            alert: 'RxscopeCertificateExpires',
            expr: 'rxscope_web_certificate_expiry_timestamp_seconds{%(rxscopeSelector)s} - time() < %(certificateCriticalDays)s * 86400' % values,
            'for': '%(time_15m)s' % values,
            labels: {
              severity: 'critical',
            },
            annotations: {
              summary: 'The certificate of an rxscope agent is about to expire.',
              description: 'The TLS certificate of rxscope at {{ $labels.instance }} expires in {{ $value | humanizeDuration }}; from then on Prometheus refuses to scrape it.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopecertificateexpires' % values,
            },
          },
          {
            alert: 'RxscopeExpensive',
            expr: 'label_replace(rxscope_programs_cpu_ratio{%(rxscopeSelector)s} > %(costMax)s, "part", "programs", "", "")\nor\nlabel_replace(rate(process_cpu_seconds_total{%(rxscopeSelector)s}[%(time_5m)s]) > %(costMax)s, "part", "agent", "", "")' % values,
            'for': '%(time_10m)s' % values,
            labels: {
              severity: 'warning',
            },
            annotations: {
              summary: 'rxscope takes more of the CPU than it may.',
              description: 'rxscope ({{ $labels.part }}) at {{ $labels.instance }} takes {{ $value | humanizePercentage }} of one CPU.',
              runbook_url: '%(rxscopeRunbookUrl)s#rxscopeexpensive' % values,
            },
          },
        ],
      },
    ],
  },

  prometheusRules+:: {
    groups+: [
      {
        name: 'rxscope.irq_to_softirq',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_irq_to_softirq_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="irq_to_softirq",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_irq_to_softirq_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_irq_to_softirq_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'irq_to_softirq',
            },
          },
        ],
      },
      {
        name: 'rxscope.softirq_to_socket',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_softirq_to_socket_seconds_count{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="softirq_to_socket",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_softirq_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_softirq_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_to_socket',
            },
          },
        ],
      },
      {
        name: 'rxscope.receive_to_socket',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_receive_to_socket_seconds_count{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="receive_to_socket",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_receive_to_socket_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_receive_to_socket_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'receive_to_socket',
            },
          },
        ],
      },
      {
        name: 'rxscope.softirq_raise_to_entry',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="softirq_raise_to_entry",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_softirq_raise_to_entry_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_softirq_raise_to_entry_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_raise_to_entry',
            },
          },
        ],
      },
      {
        name: 'rxscope.backlog_wait',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_backlog_wait_seconds_count{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="backlog_wait",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_backlog_wait_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_backlog_wait_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'backlog_wait',
            },
          },
        ],
      },
      {
        name: 'rxscope.socket_to_read',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_socket_to_read_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="socket_to_read",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_socket_to_read_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_socket_to_read_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'socket_to_read',
            },
          },
        ],
      },
      {
        name: 'rxscope.wakeup_to_run',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_wakeup_to_run_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="wakeup_to_run",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_wakeup_to_run_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_wakeup_to_run_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'wakeup_to_run',
            },
          },
        ],
      },
      {
        name: 'rxscope.napi_poll',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_napi_poll_seconds_count{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="napi_poll",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_napi_poll_seconds{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_napi_poll_seconds_bucket{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'napi_poll',
            },
          },
        ],
      },
      {
        name: 'rxscope.hardirq_duration',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_hardirq_duration_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="hardirq_duration",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_hardirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_hardirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'hardirq_duration',
            },
          },
        ],
      },
      {
        name: 'rxscope.softirq_duration',
        rules: [
          {
            record: 'rxscope:observations:rate%(time_5m)s' % values,
            expr: (either('histogram_count(sum without (cpu) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'sum without (cpu) (rate(rxscope_softirq_duration_seconds_count{%(rxscopeSelector)s}[%(time_5m)s]))')) % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope:over_budget:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_over_budget_total{%(rxscopeSelector)s,probe="softirq_duration",device!="(removed)"}[%(time_5m)s])' % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum without (cpu) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum without (cpu) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum without (cpu) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p50',
            expr: (either('histogram_quantile(0.5, sum by (job) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.5, sum by (job, le) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p99',
            expr: (either('histogram_quantile(0.99, sum by (job) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.99, sum by (job, le) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
          {
            record: 'rxscope_fleet:latency_seconds:p999',
            expr: (either('histogram_quantile(0.999, sum by (job) (rate(rxscope_softirq_duration_seconds{%(rxscopeSelector)s}[%(time_5m)s])))', 'histogram_quantile(0.999, sum by (job, le) (rate(rxscope_softirq_duration_seconds_bucket{%(rxscopeSelector)s}[%(time_5m)s])))') + ' >= 0') % values,
            labels: {
              probe: 'softirq_duration',
            },
          },
        ],
      },
      {
        name: 'rxscope.budgets',
        rules: [
          {
            record: 'rxscope:over_budget:ratio_rate%(time_5m)s' % values,
            expr: 'rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s}\n/\n(sum without (protocol, vector) (rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s}) > 0)' % values,
          },
          {
            record: 'rxscope:over_budget:ratio_rate%(time_30m)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_30m)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_30m)s])) > 0)' % values,
          },
          {
            record: 'rxscope:over_budget:ratio_rate%(time_1h)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_1h)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_1h)s])) > 0)' % values,
          },
        ],
      },
      {
        name: 'rxscope.budgets_long',
        interval: '%(interval_2m)s' % values,
        rules: [
          {
            record: 'rxscope:over_budget:ratio_rate%(time_2h)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_2h)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_2h)s])) > 0)' % values,
          },
          {
            record: 'rxscope:over_budget:ratio_rate%(time_6h)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_6h)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_6h)s])) > 0)' % values,
          },
          {
            record: 'rxscope:over_budget:ratio_rate%(time_1d)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_1d)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_1d)s])) > 0)' % values,
          },
          {
            record: 'rxscope:over_budget:ratio_rate%(time_3d)s' % values,
            expr: 'sum_over_time(rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_3d)s])\n/\n(sum without (protocol, vector) (sum_over_time(rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s,probe!~"softirq_raise_to_entry|softirq_duration"}[%(time_3d)s])) > 0)' % values,
          },
        ],
      },
      {
        name: 'rxscope.drops',
        rules: [
          {
            record: 'rxscope:received_packets:rate%(time_5m)s' % values,
            expr: '(sum without (device) (rate(rxscope_received_packets_total{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s])) > 0)\nor\nsum without (cpu) (rate(rxscope_softnet_processed_total{%(rxscopeSelector)s}[%(time_5m)s]))' % values,
          },
          {
            record: 'rxscope:drops:ratio_rate%(time_5m)s' % values,
            expr: '(\n  sum without (device) (rate(rxscope_drops_total{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))\nor\n  label_replace(sum without (device, where) (rate(rxscope_packets_dropped_total{%(rxscopeSelector)s,where="device",device!="(removed)"}[%(time_5m)s])), "reason", "(card)", "", "")\n)\n/ ignoring (reason) group_left ()\n(rxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s} > 0)' % values,
          },
        ],
      },
      {
        name: 'rxscope.cpus',
        rules: [
          {
            record: 'rxscope:softnet_processed:rate%(time_5m)s' % values,
            expr: 'rate(rxscope_softnet_processed_total{%(rxscopeSelector)s,cpu!="(other)"}[%(time_5m)s])' % values,
          },
          {
            record: 'rxscope:softirq_cpu:ratio_rate%(time_5m)s' % values,
            expr: 'sum without (mode) (rate(rxscope_cpu_seconds_total{%(rxscopeSelector)s,mode="softirq",cpu!="(other)"}[%(time_5m)s]))' % values,
          },
        ],
      },
      {
        name: 'rxscope.fleet',
        rules: [
          {
            record: 'rxscope_fleet:observations:rate%(time_5m)s' % values,
            expr: 'sum by (job, probe) (rxscope:observations:rate%(time_5m)s{%(rxscopeSelector)s})' % values,
          },
          {
            record: 'rxscope_fleet:over_budget:ratio_rate%(time_5m)s' % values,
            expr: 'sum by (job, probe) (rxscope:over_budget:rate%(time_5m)s{%(rxscopeSelector)s})\n/\n(rxscope_fleet:observations:rate%(time_5m)s{%(rxscopeSelector)s} > 0)' % values,
          },
          {
            record: 'rxscope_fleet:received_packets:rate%(time_5m)s' % values,
            expr: 'sum by (job) (rxscope:received_packets:rate%(time_5m)s{%(rxscopeSelector)s})' % values,
          },
          {
            record: 'rxscope_fleet:drops:rate%(time_5m)s' % values,
            expr: 'sum by (job, reason) (rate(rxscope_drops_total{%(rxscopeSelector)s,device!="(removed)"}[%(time_5m)s]))' % values,
          },
          {
            record: 'rxscope_fleet:up:sum',
            expr: 'sum by (job) (up{%(rxscopeSelector)s})' % values,
          },
          {
            record: 'rxscope_fleet:up:count',
            expr: 'count by (job) (up{%(rxscopeSelector)s})' % values,
          },
          {
            record: 'rxscope_host:latency_budget:p99_ratio',
            expr: 'max by (job, instance) (\nrxscope:latency_seconds:p99{%(rxscopeSelector)s}\n/ ignoring (device, protocol, vector) group_left ()\nrxscope_budget_seconds{%(rxscopeSelector)s}\n)' % values,
          },
        ],
      },
    ],
  },
}
