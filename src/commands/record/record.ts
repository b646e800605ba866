// `rxscope record`: measures once, prints a histogram and quantiles for each probe.

import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../addon/addon.ts';
import { captureOptions } from '../../agent/capture_options.ts';
import { askedToEnd, endAtHangUp, endInOrder } from '../../agent/signals.ts';
import { type Captured, captureOnce } from '../../capture/capture_once.ts';
import { explain } from '../../capture/explain.ts';
import type { Reading } from '../../capture/reading.ts';
import { probeStatuses } from '../../capture/status.ts';
import { count, quantile } from '../../histogram/histogram.ts';
import { withoutControls } from '../../host/device_names.ts';
import { type DropReasons, readDropReasons } from '../../host/drop_reasons.ts';
import { hostSources } from '../../host/host_counters.ts';
import { HostDevices } from '../../host/host_devices.ts';
import { Symbols } from '../../host/symbols.ts';
import { PROBES } from '../../probes/index.ts';
import { type NamedPackets, namePackets } from '../../readings/named_reading.ts';
import { HostNames, reasonLabel } from '../../readings/names.ts';
import { colorsFor } from '../../terminal/colors.ts';
import { print } from '../../terminal/output.ts';
import type { RecordOptions } from '../options.ts';
import { recordParts } from './parts.ts';
import { type ProbeRecord, QUANTILES, renderRecord } from './render.ts';

/** Rings of a stream: 2 MiB a CPU, tens of milliseconds of a full-speed flood. */
const EXACT_PAGES_PER_CPU = 512;

/** Resolves to the exit code: 1 when nothing could be measured. SIGINT ends the wait early. */
export async function recordOnce(options: RecordOptions): Promise<number> {
  endInOrder();
  endAtHangUp();
  const { config, durationMs, json, exact } = options;
  const settings = captureOptions(config, exact);
  let captured: Captured | undefined;
  let failure: string | undefined;
  try {
    const pagesPerCpu = exact
      ? Math.max(EXACT_PAGES_PER_CPU, settings.pagesPerCpu)
      : settings.pagesPerCpu;
    captured = await captureOnce({ ...settings, pagesPerCpu }, () => waitOrInterrupt(durationMs));
    failure = captured.failure;
  } catch (error) {
    failure = explain(error);
  }
  const statuses = probeStatuses(settings.probes, captured?.states ?? [], failure);
  const packets = named(captured?.reading);
  const records = PROBES.filter(({ id }) => settings.probes.includes(id)).map((probe) => {
    const status = statuses.find(({ id }) => id === probe.id);
    return {
      ...recordOf(probe.id, captured, exact, status?.up ?? false, status?.reason ?? ''),
      parts: recordParts(probe.id, packets),
    };
  });
  const result = {
    seconds: captured?.seconds ?? 0,
    exact,
    received: captured?.reading?.received.reduce((sum, { packets }) => sum + packets, 0) ?? 0,
    pending: captured?.reading?.pending ?? 0,
    ...(settings.probes.includes('drops') ? { drops: dropsOf(packets) } : {}),
    probes: records,
  };
  print(
    json ? `${JSON.stringify(result, null, 2)}\n` : renderRecord(result, colorsFor(process.stdout)),
  );
  return statuses.some(({ up }) => up) ? 0 : 1;
}

/** What cannot be read is told in one sentence each; what was measured does not depend on it. */
function hostNames(): HostNames {
  const names = new HostNames();
  const devices = new HostDevices(hostSources(loadAddon));
  const read = (what: string, step: () => unknown): void => {
    try {
      step();
    } catch (error) {
      process.stderr.write(`rxscope: ${what}: ${withoutControls(explain(error))}\n`);
    }
  };
  read('devices have no names', () => devices.readLinks());
  read('devices are known by name alone', () => devices.checkSysfs());
  read('interrupts have no names', () => devices.readInterrupts());
  names.use(devices.devices, devices.owners);
  return names;
}

function named(reading: Reading | undefined): NamedPackets | undefined {
  if (reading === undefined) return undefined;
  const symbols = new Symbols();
  let reasons: DropReasons | undefined;
  const reasonName = (reason: number): string => {
    reasons ??= readDropReasons(loadAddon());
    return reasonLabel(reason, reasons, symbols);
  };
  try {
    return namePackets(reading, hostNames(), reasonName);
  } finally {
    symbols.close();
  }
}

/** Drops on the receive path of all devices, by reason, the most first. */
function dropsOf(packets: NamedPackets | undefined): Record<string, number> {
  const sums = new Map<string, number>();
  for (const { reason, packets: n } of packets?.drops ?? [])
    sums.set(reason, (sums.get(reason) ?? 0) + n);
  return Object.fromEntries([...sums].sort(([, a], [, b]) => b - a));
}

/** The wait of the capture; Ctrl-C ends it early and what was measured is still printed. */
async function waitOrInterrupt(durationMs: number): Promise<void> {
  // A rejection says that it was ended.
  await sleep(durationMs, undefined, { signal: askedToEnd }).catch(() => {});
}

function recordOf(
  id: string,
  captured: Captured | undefined,
  exact: boolean,
  up: boolean,
  reason: string,
): Omit<ProbeRecord, 'parts'> {
  const histogram = captured?.histograms.get(id);
  const latencies = Float64Array.from(
    (captured?.observations ?? [])
      .filter(({ probe }) => probe === id)
      .map(({ latencyNs }) => latencyNs),
  ).sort();
  const quantiles: Record<string, number | null> = {};
  for (const q of QUANTILES) {
    const seconds = exact
      ? exactQuantile(latencies, q)
      : histogram === undefined
        ? Number.NaN
        : quantile(histogram, q);
    // JSON has no NaN: an empty histogram has no quantile.
    quantiles[String(q)] = Number.isFinite(seconds) ? seconds : null;
  }
  return {
    id,
    up,
    reason,
    count: histogram === undefined ? 0 : count(histogram),
    sum_seconds: (histogram?.sumNs ?? 0) / 1e9,
    over_budget: histogram?.overBudget ?? 0,
    quantiles_seconds: quantiles,
    ...(exact
      ? {
          max_seconds: (latencies.at(-1) ?? 0) / 1e9,
          observations_lost: captured?.reading?.events[id]?.lost ?? 0,
        }
      : {}),
    buckets: [...(histogram?.counts ?? [])],
    unmatched: captured?.reading?.unmatched[id] ?? {},
  };
}

/** The smallest latency that a share q of all does not exceed, in seconds. `sorted` in ns. */
export function exactQuantile(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.max(1, Math.ceil(q * sorted.length));
  return (sorted[rank - 1] ?? Number.NaN) / 1e9;
}
