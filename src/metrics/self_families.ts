// The families that rxscope exports about itself: which probes stand, what was lost, what it costs.
// Pure, like families.ts.

import type { ProgramStats } from '../capture/kernel_capture.ts';
import type { Events, Reading } from '../capture/reading.ts';
import type { ProbeStatus } from '../capture/status.ts';
import type { CollectorRun } from '../readings/collectors.ts';
import type { Family } from './model.ts';

/** What the agent tells of itself beside a reading. */
export interface AgentState {
  readonly reloadSucceeded: boolean;
  readonly lostLogLines: number;
  /** Of the certificate that is shown to clients, in seconds since 1970; present with TLS. */
  readonly certificateExpiresAt?: number | undefined;
  readonly build: {
    readonly version: string;
    readonly revision: string;
    readonly kernel: string;
    readonly nodeversion: string;
  };
}

export interface SelfInput extends AgentState {
  readonly probes: readonly ProbeStatus[];
  readonly packets: Pick<Reading, 'events'> | undefined;
  readonly collectors: readonly CollectorRun[];
  /** Present while BPF statistics are on. */
  readonly programs?: readonly ProgramStats[];
  /** Share of one CPU that they took since the last gather; present with them. */
  readonly programShare?: number;
}

export function selfFamilies(input: SelfInput): Family[] {
  const { probes, packets } = input;
  const events = (of: keyof Events) =>
    probes.map(({ id }) => ({ labels: { probe: id }, value: packets?.events[id]?.[of] ?? 0 }));
  const families: Family[] = [
    {
      type: 'gauge',
      name: 'rxscope_probe_up',
      help: 'Whether the probe measures (1) or could not be attached (0); `rxscope probes` says why.',
      samples: probes.map(({ id, up }) => ({ labels: { probe: id }, value: up ? 1 : 0 })),
    },
    {
      type: 'gauge',
      name: 'rxscope_probe_info',
      help: 'The programs behind each probe and how they are attached.',
      samples: probes.flatMap(({ id, programs }) =>
        programs.flatMap(({ program, attach, backend = 'libbpf' }) =>
          program === undefined || attach === undefined
            ? []
            : [{ labels: { probe: id, program, backend, attach }, value: 1 }],
        ),
      ),
    },
    {
      type: 'counter',
      name: 'rxscope_events_total',
      help: 'Events sent to user space: observations over budget, and drops.',
      samples: events('sent'),
    },
    {
      type: 'counter',
      name: 'rxscope_events_lost_total',
      help: 'Events given up, by the rate limit or a full ring; what they tell of is counted all the same.',
      samples: events('lost'),
    },
    {
      type: 'gauge',
      name: 'rxscope_collector_success',
      help: 'Whether the collector succeeded in this scrape.',
      samples: input.collectors.map(({ collector, success }) => ({
        labels: { collector },
        value: success ? 1 : 0,
      })),
    },
    {
      type: 'gauge',
      name: 'rxscope_collector_duration_seconds',
      help: 'How long the collector took in this scrape.',
      samples: input.collectors.map(({ collector, seconds }) => ({
        labels: { collector },
        value: seconds,
      })),
    },
    {
      type: 'gauge',
      name: 'rxscope_config_last_reload_successful',
      help: 'Whether the last reload of the configuration (SIGHUP) was accepted.',
      samples: [{ labels: {}, value: input.reloadSucceeded ? 1 : 0 }],
    },
    {
      type: 'counter',
      name: 'rxscope_log_lines_lost_total',
      help: 'Lines of the log that could not be written: its disk is full, its reader gone or not reading.',
      samples: [{ labels: {}, value: input.lostLogLines }],
    },
    {
      type: 'gauge',
      name: 'rxscope_build_info',
      help: 'Version of the agent, and the kernel and runtime that it runs on.',
      samples: [{ labels: { ...input.build }, value: 1 }],
    },
  ];
  if (input.certificateExpiresAt !== undefined)
    families.push({
      type: 'gauge',
      name: 'rxscope_web_certificate_expiry_timestamp_seconds',
      help: 'When the first of the certificates in cert_file expires, as seconds since 1970.',
      samples: [{ labels: {}, value: input.certificateExpiresAt }],
    });
  if (input.programs !== undefined)
    families.push(...programFamilies(input.programs, input.programShare ?? 0));
  return families;
}

function programFamilies(programs: readonly ProgramStats[], share: number): Family[] {
  return [
    {
      type: 'gauge',
      name: 'rxscope_programs_cpu_ratio',
      help: 'Share of one CPU that all BPF programs took since the last scrape, while BPF statistics are on.',
      samples: [{ labels: {}, value: share }],
    },
    {
      type: 'counter',
      name: 'rxscope_program_run_seconds_total',
      help: 'Time spent in a BPF program, counted by the kernel while BPF statistics are on.',
      samples: programs.map(({ program, runTimeNs }) => ({
        labels: { program },
        value: runTimeNs / 1e9,
      })),
    },
    {
      type: 'counter',
      name: 'rxscope_program_runs_total',
      help: 'Runs of a BPF program, counted by the kernel while BPF statistics are on.',
      samples: programs.map(({ program, runs }) => ({ labels: { program }, value: runs })),
    },
  ];
}
