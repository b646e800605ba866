// rxscope itself: is the instrument sound, and what does it cost?

import { lines, single } from './charts.ts';
import { dashboard } from './frame.ts';
import { steps } from './panel.ts';
import { FLEET, group, rate, sumRate } from './queries.ts';
import { grid } from './tables.ts';

const HOST = ['job', 'instance'];
/** Lines of hosts in one panel; more cannot be told apart. */
const HOSTS_MAX = 15;
const UP = [
  { value: null, color: 'red' },
  { value: 1, color: 'green' },
];

export const agent = dashboard({
  uid: 'rxscope-agent',
  title: 'rxscope / rxscope itself',
  description: 'What the agents cost, what they measure by, and what they lose.',
  hosts: 'any',
  devices: false,
  rows: [
    {
      id: 10,
      title: 'Sound?',
      panels: [
        single({
          id: 11,
          alert: 'RxscopeAgentDown',
          title: 'Agents up',
          unit: 'percentunit',
          width: 4,
          expr: `avg(up{${FLEET}})`,
          thresholds: [
            { value: null, color: 'red' },
            { value: 1, color: 'green' },
          ],
          reading: 'The share of the agents that answered the last scrape.',
          when: 'low',
          remedy: 'The table below says which do not; `systemctl status rxscope` there says why.',
        }),
        single({
          id: 12,
          alert: 'RxscopeProbeDown',
          title: 'Probes down',
          unit: 'short',
          width: 5,
          expr: `count(rxscope_probe_up{${FLEET}}) - sum(rxscope_probe_up{${FLEET}})`,
          thresholds: steps([1, 'orange']),
          reading: 'Probes that are switched on and could not be attached, over all agents.',
          remedy: '`rxscope probes` on the host says why each way of attaching was refused.',
        }),
        single({
          id: 13,
          alert: 'RxscopeEventsLost',
          title: 'Events lost',
          unit: 'cps',
          width: 5,
          expr: sumRate('rxscope_events_lost_total', FLEET),
          thresholds: steps([1, 'orange']),
          reading:
            'Outliers and drops that were not shown one by one: over the rate limit, or the ring was full. They are counted all the same.',
          remedy: 'A storm of outliers is usual then. Raise events.per_cpu_per_second to see more.',
        }),
        single({
          id: 14,
          alert: 'RxscopeSeriesDropped',
          title: 'Series left out',
          unit: 'short',
          width: 5,
          expr: `sum(rxscope_series_dropped_total{${FLEET}})`,
          thresholds: steps([1, 'orange']),
          reading:
            'Label sets without a series of their own since the agents started: summed as (other).',
          remedy: 'Raise series_max or devices_max of the agents that have many devices or CPUs.',
        }),
        single({
          id: 15,
          alert: 'RxscopeExpensive',
          title: 'CPU of the costliest agent',
          unit: 'percentunit',
          width: 5,
          expr: `max(${rate('process_cpu_seconds_total', FLEET)})`,
          thresholds: steps([0.05, 'orange'], [0.2, 'red']),
          reading:
            'User space only: the share of one CPU that the process takes, nearly all of it for scrapes.',
          remedy: 'Scrape less often, lower series_max, or turn off what nobody looks at.',
        }),
      ],
    },
    {
      id: 20,
      title: 'Cost',
      panels: [
        lines({
          id: 21,
          title: 'CPU of the agents',
          unit: 'percentunit',
          width: 8,
          queries: [topHosts(sumRate('process_cpu_seconds_total', FLEET, HOST))],
          reading:
            'The share of one CPU that each process takes; without its programs in the kernel. Not of agents that run with --no-process-metrics.',
          remedy: 'Compare with the scrapes: a second Prometheus, a shorter interval?',
        }),
        lines({
          id: 22,
          alert: 'RxscopeExpensive',
          title: 'CPU of the programs in the kernel',
          unit: 'percentunit',
          width: 8,
          queries: [topHosts(`max by (job, instance) (rxscope_programs_cpu_ratio{${FLEET}})`)],
          reading:
            'The share of one CPU that all programs took since the last scrape. Only of agents that run with --bpf-stats, which itself costs.',
          remedy: 'Turn off probes that nobody needs, those off by default first.',
        }),
        lines({
          id: 23,
          title: 'Time of a program run',
          unit: 's',
          width: 8,
          logarithmic: true,
          queries: [
            {
              expr: `${sumRate('rxscope_program_run_seconds_total', FLEET, ['program'])}\n/\n${sumRate('rxscope_program_runs_total', FLEET, ['program'])}`,
              legend: '{{program}}',
            },
          ],
          reading:
            'The mean over all runs, about 25 ns of it for the statistics. Only of agents that run with --bpf-stats.',
          remedy:
            'A program far above the others on one host: its caches are cold or its CPU is slow.',
        }),
        lines({
          id: 24,
          title: 'Memory',
          unit: 'bytes',
          width: 8,
          queries: [topHosts(`max by (job, instance) (process_resident_memory_bytes{${FLEET}})`)],
          reading: 'Resident memory of each process.',
          remedy:
            'It should level off within minutes. If it keeps growing, report it with the configuration.',
        }),
        lines({
          id: 25,
          title: 'Event loop',
          unit: 's',
          width: 8,
          queries: [topHosts(`max by (job, instance) (nodejs_eventloop_lag_seconds{${FLEET}})`)],
          reading: 'How late the process gets to what it is asked for.',
          remedy:
            'The CPU is not given to it, or an encoding of many series takes long: lower series_max.',
        }),
        lines({
          id: 26,
          title: 'Restarts',
          unit: 'short',
          width: 8,
          queries: [
            topHosts(
              `sum by (job, instance) (changes(process_start_time_seconds{${FLEET}}[$__rate_interval]))`,
            ),
          ],
          reading: 'Starts of an agent since the scrape before.',
          remedy: 'A crash loop: `journalctl -u rxscope` has the last words.',
        }),
      ],
    },
    {
      id: 30,
      title: 'Scrapes',
      panels: [
        lines({
          id: 31,
          title: 'Scrape time',
          unit: 's',
          width: 8,
          queries: [topHosts(`max by (job, instance) (scrape_duration_seconds{${FLEET}})`)],
          reading: 'As Prometheus saw it, network included.',
          remedy: 'Near the scrape timeout samples are lost: see which collector is slow.',
        }),
        lines({
          id: 32,
          title: 'Time of the collectors',
          unit: 's',
          width: 8,
          queries: [
            {
              expr: `max by (collector) (rxscope_collector_duration_seconds{${FLEET}})`,
              legend: '{{collector}}',
            },
          ],
          reading: 'The slowest agent’s, for each part of a scrape.',
          remedy: 'netlink and ethtool are slow with many devices; the kernel’s with many CPUs.',
        }),
        lines({
          id: 33,
          title: 'Collectors that failed',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `count by (collector) (rxscope_collector_success{${FLEET}}) - sum by (collector) (rxscope_collector_success{${FLEET}})`,
              legend: '{{collector}}',
            },
          ],
          reading: 'Agents in whose last scrape this part failed; their series of it are missing.',
          remedy: 'The log of the agent says why, once.',
        }),
        lines({
          id: 34,
          title: 'Series of a scrape',
          unit: 'short',
          width: 8,
          queries: [topHosts(`max by (job, instance) (scrape_samples_scraped{${FLEET}})`)],
          reading:
            'Samples that Prometheus took: with native histograms one for each histogram, else one for each bucket.',
          remedy: 'series_max bounds it; `labels.cpu: never` saves most.',
        }),
        lines({
          id: 35,
          title: 'New series',
          unit: 'short',
          width: 8,
          queries: [topHosts(`max by (job, instance) (scrape_series_added{${FLEET}})`)],
          reading: 'Series that a scrape brought for the first time.',
          remedy:
            'Steadily above 0: devices come and go, as on a host of containers. Each costs Prometheus memory.',
        }),
        lines({
          id: 36,
          title: 'Series left out by family',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `topk(10, sum by (family) (rxscope_series_dropped_total{${FLEET}}))`,
              legend: '{{family}}',
            },
          ],
          reading:
            'Label sets left out of the ten families that lack most: they did not fit their share of series_max and are summed as (other).',
          remedy: 'Raise series_max, or limit what the family is by: devices_max, labels.cpu.',
        }),
      ],
    },
    {
      id: 40,
      title: 'Events and books',
      panels: [
        lines({
          id: 41,
          title: 'Events shown',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: sumRate('rxscope_events_total', FLEET, ['probe']), legend: '{{probe}}' },
          ],
          reading: 'Outliers and drops that reached the lists, the exemplars and the log.',
          remedy: 'Many outliers of one probe: is its budget meant for this kind of host?',
        }),
        lines({
          id: 42,
          alert: 'RxscopeEventsLost',
          title: 'Events lost',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: sumRate('rxscope_events_lost_total', FLEET, ['probe']), legend: '{{probe}}' },
          ],
          reading: 'What was counted but not shown one by one.',
          remedy: 'Raise events.per_cpu_per_second, or events.pages_per_cpu for short bursts.',
        }),
        lines({
          id: 43,
          title: 'Not measured for want of room or sense',
          unit: 'cps',
          width: 8,
          queries: [
            {
              expr: sumRate('rxscope_unmatched_total', `cause=~"clock|table_full",${FLEET}`, [
                'probe',
                'cause',
              ]),
              legend: '{{probe}} {{cause}}',
            },
          ],
          reading: 'table_full: a bounded table had no room. clock: a latency that cannot be.',
          remedy:
            'A few table_full under extreme load are usual; clock never is: please report it.',
        }),
      ],
    },
    {
      id: 50,
      title: 'Agents',
      panels: [
        grid({
          id: 51,
          title: 'Agents',
          unit: 'none',
          width: 24,
          sortBy: ['up'],
          columns: [
            { name: 'instance' },
            { name: 'job' },
            {
              name: 'up',
              expr: `max by (job, instance) (up{${FLEET}})`,
              thresholds: UP,
              words: { 0: 'down', 1: 'up' },
            },
            {
              name: 'version',
            },
            { name: 'kernel' },
            { name: 'nodeversion' },
            {
              name: 'info',
              hidden: true,
              expr: `max by (job, instance, version, kernel, nodeversion) (rxscope_build_info{${FLEET}})`,
            },
            {
              name: 'configuration',
              expr: `max by (job, instance) (rxscope_config_last_reload_successful{${FLEET}})`,
              thresholds: UP,
              words: { 0: 'refused', 1: 'ok' },
            },
            {
              name: 'probes up',
              expr: `sum by (job, instance) (rxscope_probe_up{${FLEET}})`,
            },
            {
              name: 'probes',
              expr: `count by (job, instance) (rxscope_probe_up{${FLEET}})`,
            },
          ],
          reading:
            'A row for each agent, those that are down first. configuration: whether the last reload was taken.',
          when: 'low',
          remedy: '`rxscope check-config FILE` says what is wrong with a configuration.',
        }),
        grid({
          id: 52,
          title: 'Rungs',
          unit: 'short',
          width: 12,
          sortBy: ['probe', '-agents'],
          columns: [
            { name: 'probe' },
            { name: 'backend' },
            { name: 'attach' },
            {
              name: 'agents',
              expr: `count by (probe, backend, attach) (group by (job, instance, probe, backend, attach) (rxscope_probe_info{${FLEET}}))`,
            },
          ],
          reading:
            'By what each probe is attached, and on how many agents: fentry and tp_btf are best, then raw_tp and kprobe, then tracepoint; bpftrace says less.',
          when: 'not what you expect',
          remedy: '`rxscope probes` on the host says why not by a better one.',
        }),
        grid({
          id: 53,
          title: 'Probes',
          unit: 'short',
          width: 12,
          sortBy: ['up'],
          columns: [
            { name: 'probe' },
            { name: 'up', expr: `sum by (probe) (rxscope_probe_up{${FLEET}})` },
            { name: 'switched on', expr: `count by (probe) (rxscope_probe_up{${FLEET}})` },
          ],
          reading: 'On how many agents each probe is switched on, and on how many it measures.',
          when: 'low',
          remedy: 'Look for the kernels that differ in the table of agents.',
        }),
      ],
    },
  ],
});

function topHosts(query: string) {
  return { expr: `topk(${HOSTS_MAX}, ${group(query)})`, legend: '{{instance}}' };
}
