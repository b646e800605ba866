// Which probes stand and why not, from the states of their hooks. Pure.

import { CATALOGUE, hasScript } from '../probes/index.ts';
import { type CatalogueEntry, hooksOf } from '../probes/probe.ts';
import type { ScriptStatus } from './bpftrace/backend.ts';
import type { HookState } from './ladder.ts';

/** One probe's standing, for metrics, `rxscope probes` and the landing page. */
export interface ProbeStatus {
  readonly id: string;
  readonly up: boolean;
  /** The configuration switched it off: that it is not up is no defect. */
  readonly off?: true;
  /** Why it is not up, or what it lacks; '' when nothing is missing. */
  readonly reason: string;
  readonly programs: readonly ProgramStatus[];
}

export interface ProgramStatus {
  readonly hook: string;
  /** What loaded it; libbpf unless said. */
  readonly backend?: 'bpftrace';
  /** Undefined when no rung was accepted. */
  readonly program?: string;
  readonly attach?: string;
  readonly target?: string;
  /** One sentence for each higher rung that was refused. */
  readonly refusals: readonly string[];
}

/**
 * Status of each probe of the catalogue. A probe that is switched off is not up, and says so;
 * `failure` is why nothing at all could be tried.
 */
export function probeStatuses(
  enabled: readonly string[],
  states: readonly HookState[],
  failure?: string,
): ProbeStatus[] {
  return CATALOGUE.map((probe) => {
    if (!enabled.includes(probe.id)) {
      return {
        id: probe.id,
        up: false,
        off: true,
        reason: 'switched off by the configuration',
        programs: [],
      };
    }
    const programs = hooksOf(probe).flatMap((hook) => {
      const state = states.find((candidate) => candidate.hook === hook);
      return state === undefined ? [] : [programStatus(state)];
    });
    return { id: probe.id, ...standing(probe, programs, failure), programs };
  });
}

/**
 * The same with the probes that bpftrace measures, or was to. `chosen` says that nothing else was
 * tried; otherwise it stands in for libbpf, whose refusals are told too.
 */
export function withScripts(
  statuses: readonly ProbeStatus[],
  scripts: readonly ScriptStatus[],
  chosen: boolean,
): ProbeStatus[] {
  return statuses.map((status) => {
    const script = scripts.find(({ probe }) => probe === status.id);
    if (chosen && !hasScript(status.id))
      return { ...status, up: false, off: true, reason: 'no bpftrace script measures it' };
    return script === undefined ? status : scriptStatus(status, script, chosen);
  });
}

function scriptStatus(before: ProbeStatus, script: ScriptStatus, chosen: boolean): ProbeStatus {
  const { id } = before;
  const { program, state, version } = script;
  const tried = chosen ? [] : before.programs.flatMap(({ refusals }) => refusals);
  const hook = 'script';
  if (state.phase === 'up') {
    const target = `${program} (bpftrace ${version})`;
    const { attach } = state;
    const stands = { hook, backend: 'bpftrace', program, attach, target, refusals: tried } as const;
    const why = `measures by bpftrace, with less detail: ${before.reason}`;
    return { id, up: true, reason: chosen ? '' : why, programs: [stands] };
  }
  const reason = state.phase === 'starting' ? 'bpftrace is starting' : state.reason;
  const refusals = [...tried, `${program}: ${reason}`];
  return {
    id,
    up: false,
    reason: chosen ? reason : `${before.reason}; nor by bpftrace: ${reason}`,
    programs: [{ hook, backend: 'bpftrace', refusals }],
  };
}

function programStatus({ hook, rung, refusals }: HookState): ProgramStatus {
  return rung === undefined
    ? { hook, refusals }
    : { hook, program: rung.program, attach: rung.attach, target: rung.target, refusals };
}

function standing(
  probe: CatalogueEntry,
  programs: readonly ProgramStatus[],
  failure: string | undefined,
): { up: boolean; reason: string } {
  if (failure !== undefined) return { up: false, reason: failure };
  const missing = programs.find(
    ({ hook, program }) => program === undefined && probe.hooks.includes(hook),
  );
  if (missing !== undefined) return { up: false, reason: lacking(missing) };
  const partial = programs.find(
    ({ hook, program }) => program === undefined && probe.hooksOptional.includes(hook),
  );
  return {
    up: true,
    reason: partial === undefined ? '' : `measures with less detail: ${lacking(partial)}`,
  };
}

function lacking({ hook, refusals }: ProgramStatus): string {
  const reasons = [...new Set(refusals)];
  return `cannot attach ${hook}: ${reasons.join('; ')}`;
}
