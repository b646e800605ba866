// Which probes stand and why not, from the states of their hooks. Pure.

import type { HookState } from '../capture/ladder.ts';
import type { ProbeStatus, ProgramStatus } from '../metrics/self_families.ts';
import { PROBES } from '../probes/index.ts';
import type { Probe } from '../probes/probe.ts';

/**
 * Status of each probe of the catalogue. A probe that is switched off is not up, and says so;
 * `failure` is why nothing at all could be tried.
 */
export function probeStatuses(
  enabled: readonly string[],
  states: readonly HookState[],
  failure?: string,
): ProbeStatus[] {
  return PROBES.map((probe) => {
    if (!enabled.includes(probe.id)) {
      return { id: probe.id, up: false, reason: 'switched off by the configuration', programs: [] };
    }
    const programs = [...probe.hooks, ...probe.hooksOptional].flatMap((hook) => {
      const state = states.find((candidate) => candidate.hook === hook);
      return state === undefined ? [] : [programStatus(state)];
    });
    return { id: probe.id, ...standing(probe, programs, failure), programs };
  });
}

function programStatus({ hook, rung, refusals }: HookState): ProgramStatus {
  return rung === undefined
    ? { hook, refusals }
    : { hook, program: rung.program, attach: rung.attach, target: rung.target, refusals };
}

function standing(
  probe: Probe,
  programs: readonly ProgramStatus[],
  failure: string | undefined,
): { up: boolean; reason: string } {
  if (failure !== undefined) return { up: false, reason: failure };
  const missing = programs.find(
    ({ hook, program }) => program === undefined && probe.hooks.includes(hook),
  );
  if (missing !== undefined) return { up: false, reason: lacking(missing) };
  const partial = programs.find(({ program }) => program === undefined);
  return {
    up: true,
    reason: partial === undefined ? '' : `measures with less detail: ${lacking(partial)}`,
  };
}

function lacking({ hook, refusals }: ProgramStatus): string {
  const reasons = [...new Set(refusals)];
  return `cannot attach ${hook}: ${reasons.join('; ')}`;
}
