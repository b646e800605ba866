// Alerts on rxscope itself: an instrument that is blind, loses, or costs too much must say so.

import type { Alert } from './model.ts';
import { DAY, MINUTE, rate, series, type Terms } from './terms.ts';

/** Folded by design where there are many CPUs (shown_cpus.ts of src/metrics): no defect. */
const FAMILIES_BY_CPU =
  'rxscope_softnet_.+|rxscope_softirqs_total|rxscope_cpu_seconds_total|rxscope_interrupts_total';

export function selfAlerts(terms: Terms): Alert[] {
  return [
    agentDown(terms),
    agentAbsent(terms),
    probeDown(terms),
    eventsLost(terms),
    seriesDropped(terms),
    configurationRefused(terms),
    certificateExpires(terms),
    expensive(terms),
  ];
}

function agentDown(terms: Terms): Alert {
  return {
    name: 'RxscopeAgentDown',
    conditions: [
      { severity: 'warning', expr: `${series(terms, 'up')} == 0`, holds: terms.time(5 * MINUTE) },
    ],
    summary: 'An rxscope agent does not answer.',
    description: 'Prometheus cannot scrape rxscope at {{ $labels.instance }}.',
    runbook: {
      meaning:
        'The target is there and its scrape fails: the agent has ended, is unreachable, or takes longer than the scrape timeout. Packets flow as ever, but nobody measures them.',
      look: [
        'What Prometheus says of the target (Status, Targets): refused, timed out, 401, 503?',
        'The agent’s log. It listens on 127.0.0.1 unless told otherwise.',
      ],
      commands: [
        'systemctl status rxscope; journalctl -u rxscope -n 50',
        'curl -sv http://127.0.0.1:10750/-/ready',
        'curl -s -o /dev/null -w "%{time_total}\\n" http://127.0.0.1:10750/metrics',
      ],
      changes: [
        {
          change: 'start it again; `--web.listen-address` where Prometheus can reach it',
          costs: 'on another address than loopback whoever reaches it reads it',
        },
        {
          change: 'fewer series (`series_max`) or a longer scrape timeout',
          costs: 'detail, or time',
        },
      ],
    },
  };
}

function agentAbsent(terms: Terms): Alert {
  return {
    name: 'RxscopeAgentAbsent',
    conditions: [
      {
        severity: 'critical',
        expr: `absent(${series(terms, 'up')})`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'Prometheus knows of no rxscope agent at all.',
    description:
      'No target belongs to {{ with $labels.job }}job {{ . }}{{ else }}rxscope{{ end }}: no other alert on rxscope can fire.',
    runbook: {
      meaning:
        'There is no target that the rules select. Service discovery finds none, the job has another name than the rules were made for, or the scrape configuration is gone.',
      look: [
        'The scrape configuration: the name of the job against `--job` of `rxscope rules`.',
        'What service discovery finds (Status, Service Discovery).',
      ],
      commands: [
        'promtool check config /etc/prometheus/prometheus.yml',
        'rxscope rules --job NAME --out /etc/prometheus/rxscope',
      ],
      changes: [{ change: 'the job’s name, there or here', costs: 'none' }],
    },
  };
}

function probeDown(terms: Terms): Alert {
  return {
    name: 'RxscopeProbeDown',
    conditions: [
      {
        severity: 'warning',
        expr: `${series(terms, 'rxscope_probe_up')} == 0`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'A probe that is switched on does not measure.',
    description: 'The probe {{ $labels.probe }} is not up at {{ $labels.instance }}.',
    runbook: {
      meaning:
        'The kernel refused what the probe needs, on each rung of its ladder, or its bpftrace ended too often. All other probes work.',
      look: [
        'What `rxscope probes` says of each way that was tried.',
        'A new kernel, fewer capabilities, lockdown?',
      ],
      commands: [
        'rxscope probes',
        'journalctl -u rxscope | grep -i probe',
        'cat /sys/kernel/security/lockdown; ls -l /sys/kernel/btf/vmlinux; sysctl kernel.perf_event_paranoid',
      ],
      changes: [
        {
          change: '`CAP_BPF` and `CAP_PERFMON` for the agent',
          costs: 'see docs/permissions.md',
        },
        {
          change: '`backend: auto`, with bpftrace installed',
          costs: 'several times the cost for that probe, and no native histograms',
        },
        { change: 'switch the probe off where it cannot work', costs: 'its measurement' },
      ],
    },
  };
}

function eventsLost(terms: Terms): Alert {
  const lost = rate(terms, 'rxscope_events_lost_total');
  return {
    name: 'RxscopeEventsLost',
    conditions: [
      {
        severity: 'info',
        expr: `${lost} / (${lost} + ${rate(terms, 'rxscope_events_total')}) > ${terms.threshold('eventsLostMax')}`,
        holds: terms.time(15 * MINUTE),
      },
    ],
    summary: 'Outliers or drops are counted but mostly not shown.',
    description:
      '{{ $value | humanizePercentage }} of the events of {{ $labels.probe }} at {{ $labels.instance }} are not sent to user space.',
    runbook: {
      meaning: `More events come than \`events.per_cpu_per_second\` lets through, or than the ring holds: the list of outliers (or drops), exemplars and the log show a part of them. All of them are counted: histograms, \`rxscope_over_budget_total\` and \`rxscope_drops_total\` are exact as ever. So it is an \`info\`.`,
      look: [
        'Is something over budget, or dropped, all the time? Then that is the matter, not this.',
        'A budget that is too low for this host makes everything an outlier.',
      ],
      commands: [
        'rxscope record --duration 10s                    # over budget: how many of how many',
        'rxscope check-config /etc/rxscope/rxscope.yaml   # budgets, events',
      ],
      changes: [
        { change: 'a budget that only the unusual exceeds', costs: 'none' },
        {
          change: 'a higher `events.per_cpu_per_second`, `events.pages_per_cpu`',
          costs: 'CPU of the agent for each event, memory',
        },
      ],
    },
  };
}

function seriesDropped(terms: Terms): Alert {
  return {
    name: 'RxscopeSeriesDropped',
    conditions: [
      {
        severity: 'info',
        expr: `sum without (family) (${series(terms, 'rxscope_series_dropped_total', `family!~"${FAMILIES_BY_CPU}"`)}) > 0`,
        holds: terms.time(15 * MINUTE),
      },
    ],
    summary: 'The cap on series was reached, and label sets are summed.',
    description:
      '{{ $value | humanize }} label sets of {{ $labels.instance }} have no series of their own: they are summed under (other).',
    runbook: {
      meaning:
        'The host has more devices, interrupts or reasons than fit under `series_max`. Sums are right as ever; single devices are missing. It stays until the agent starts again. Families by CPU are left out: on machines with more than 16 CPUs they are summed by design.',
      look: [
        'Which families: `rxscope_series_dropped_total` by `family`.',
        'A host of many containers, or a great many devices?',
      ],
      commands: ['curl -s http://127.0.0.1:10750/metrics | grep series_dropped | grep -v " 0$"'],
      changes: [
        {
          change: 'a higher `series_max` (SIGHUP will do)',
          costs: 'about 1.5 ms CPU a scrape for 1,000 series, and room in Prometheus',
        },
        { change: '`labels.cpu: never`', costs: 'latencies by CPU' },
      ],
    },
  };
}

function configurationRefused(terms: Terms): Alert {
  return {
    name: 'RxscopeConfigurationRefused',
    conditions: [
      {
        severity: 'warning',
        expr: `${series(terms, 'rxscope_config_last_reload_successful')} == 0`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'An rxscope agent could not take over its changed configuration.',
    description:
      'rxscope at {{ $labels.instance }} works with the configuration that it had before; its files as they are now will not start it again.',
    runbook: {
      meaning:
        'The configuration file, or the web configuration or a certificate that it names, has changed and has a fault. The agent keeps what it had, so nothing is lost until it restarts: then it refuses to.',
      look: ['The log, which has every problem of the file, once.'],
      commands: [
        'rxscope check-config /etc/rxscope/rxscope.yaml',
        'rxscope check-config --web /etc/rxscope/web.yml',
        'journalctl -u rxscope | grep -i configuration',
      ],
      changes: [
        { change: 'mend the file, then `systemctl reload rxscope`', costs: 'none' },
        { change: 'put back the file as it was', costs: 'the change' },
      ],
    },
  };
}

function certificateExpires(terms: Terms): Alert {
  const left = `${series(terms, 'rxscope_web_certificate_expiry_timestamp_seconds')} - time()`;
  const within = (name: 'certificateWarningDays' | 'certificateCriticalDays'): string =>
    `${left} < ${terms.threshold(name)} * ${DAY}`;
  return {
    name: 'RxscopeCertificateExpires',
    conditions: [
      {
        severity: 'warning',
        expr: within('certificateWarningDays'),
        holds: terms.time(15 * MINUTE),
      },
      {
        severity: 'critical',
        expr: within('certificateCriticalDays'),
        holds: terms.time(15 * MINUTE),
      },
    ],
    summary: 'The certificate of an rxscope agent is about to expire.',
    description:
      'The TLS certificate of rxscope at {{ $labels.instance }} expires in {{ $value | humanizeDuration }}; from then on Prometheus refuses to scrape it.',
    runbook: {
      meaning: `The first of the certificates in \`cert_file\` of the agent’s web configuration expires in less than ${terms.threshold('certificateWarningDays')} days (critical: ${terms.threshold('certificateCriticalDays')}). Once it has, every scrape fails: RxscopeAgentDown fires, and this alert is gone with the metric.`,
      look: [
        'Was it renewed, and only not taken over? Then `rxscope_config_last_reload_successful` is 0, and the log says why.',
        'What renews it (certbot, cert-manager, a cron job), and when did that last succeed?',
      ],
      commands: [
        'openssl s_client -connect 127.0.0.1:10750 </dev/null 2>/dev/null | openssl x509 -noout -subject -enddate',
        'rxscope check-config --web /etc/rxscope/web.yml',
        'journalctl -u rxscope | grep "web configuration" | tail -5',
      ],
      changes: [
        {
          change: 'a new certificate in the place of the old one: the agent takes it by itself',
          costs: 'none; no restart',
        },
      ],
    },
  };
}

function expensive(terms: Terms): Alert {
  const part = (name: string, expr: string): string =>
    `label_replace(${expr} > ${terms.threshold('costMax')}, "part", "${name}", "", "")`;
  return {
    name: 'RxscopeExpensive',
    conditions: [
      {
        severity: 'warning',
        expr: `${part('programs', series(terms, 'rxscope_programs_cpu_ratio'))}
or
${part('agent', rate(terms, 'process_cpu_seconds_total'))}`,
        holds: terms.time(10 * MINUTE),
      },
    ],
    summary: 'rxscope takes more of the CPU than it may.',
    description:
      'rxscope ({{ $labels.part }}) at {{ $labels.instance }} takes {{ $value | humanizePercentage }} of one CPU.',
    runbook: {
      meaning: `What measures takes more than ${terms.percent('costMax')} of one CPU. The label \`part\` says which: the programs in the kernel (known only with \`--bpf-stats\`, which itself costs about 25 ns a run), or the agent’s process.`,
      look: [
        'The programs: packets a second × about 0.25 to 0.5 µs is what to expect.',
        'The agent: how often is it scraped, by how many, with how many series? A storm of outliers?',
      ],
      commands: [
        'rxscope probes                                   # what is attached, and how',
        'curl -s http://127.0.0.1:10750/metrics | grep -E "^rxscope_program_run|^process_cpu"',
        'bpftool prog show | grep run_time_ns             # with kernel.bpf_stats_enabled=1, or --bpf-stats',
      ],
      changes: [
        { change: 'switch off probes that nobody reads', costs: 'their measurement' },
        { change: 'no `--bpf-stats` in production', costs: 'this figure' },
        { change: 'a longer scrape interval, a lower `series_max`', costs: 'detail' },
        {
          change: 'higher budgets, a lower `events.per_cpu_per_second`',
          costs: 'fewer outliers shown',
        },
      ],
    },
  };
}
