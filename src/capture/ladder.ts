// Climbs the attachment ladder: for each hook the best rung that this kernel accepts, found by
// trying. One refused program never takes another hook down; an object is loaded whole or not at
// all, so each refusal means closing it and trying again with that hook on a lower rung.

import type { BpfError, BpfObject } from '../addon/addon.ts';
import { explainObject, explainRung, isBpfError } from './explain.ts';
import type { Attach, Hook, Rung } from './hooks.ts';
import { isPassing, Patience } from './passing.ts';

/** Where a hook stands, and why not higher. */
export interface HookState {
  readonly hook: string;
  /** The rung in use, if any was accepted. */
  readonly rung?: Rung;
  /** One sentence for each rung that was refused, best first. */
  readonly refusals: readonly string[];
}

export interface Climb {
  /** Loaded and attached; absent when no hook could be had. */
  readonly object?: BpfObject;
  readonly states: readonly HookState[];
  /** Why no program of any hook can be loaded; the hooks themselves are not at fault then. */
  readonly failure?: string;
}

/** What makes an object ready: called anew for each attempt. */
export interface Preparation {
  /** Yields the object with its constants and sizes set, before load. */
  open(): BpfObject;
  /** Fills the loaded object's memory before the first program runs. */
  fill(object: BpfObject): void;
}

/** A refusal that holds: what passes was tried again. */
interface Refusal {
  readonly error: BpfError;
  readonly tries: number;
}

/**
 * Loads and attaches one program for each wanted hook. Refusals of the kernel never throw; errors
 * of `open` and `fill` do.
 */
export function climb({ open, fill }: Preparation, hooks: readonly Hook[]): Climb {
  const at = new Map(hooks.map((hook) => [hook.name, 0]));
  const refusals = new Map<string, string[]>(hooks.map((hook) => [hook.name, []]));
  const rungOf = (hook: Hook): Rung | undefined => hook.rungs[at.get(hook.name) ?? 0];
  const refuse = (hook: Hook, rung: Rung, { error, tries }: Refusal): void => {
    refusals.get(hook.name)?.push(explainRung(rung, error) + afterTries(tries));
    at.set(hook.name, (at.get(hook.name) ?? 0) + 1);
  };
  const states = (): HookState[] =>
    hooks.map((hook) => {
      const rung = rungOf(hook);
      const why = refusals.get(hook.name) ?? [];
      return rung === undefined
        ? { hook: hook.name, refusals: why }
        : { hook: hook.name, rung, refusals: why };
    });

  const patience = new Patience();
  /** The object where it took everything, else why it did not: tried again where that may pass. */
  const attempt = (
    filling: Preparation['fill'],
    wanted: ReadonlyMap<string, Hook>,
  ): { readonly object: BpfObject } | Refusal => {
    const { result, tries } = patience.spend(
      () => {
        const object = open();
        const error = tryAll(object, filling, wanted);
        if (error === undefined) return { object };
        object.close();
        return { error };
      },
      (tried) => 'error' in tried && isPassing(tried.error),
    );
    return 'error' in result ? { error: result.error, tries } : result;
  };

  /** A way into functions that is not permitted (EPERM) is so for every function: asked once. */
  const forbidden = new Map<Attach, Refusal>();
  const tryAlone = (hook: Hook, rung: Rung): Refusal | undefined => {
    const known = forbidden.get(rung.attach);
    if (known !== undefined) return known;
    const tried = attempt(() => {}, new Map([[rung.program, hook]]));
    if ('object' in tried) {
      tried.object.close();
      return undefined;
    }
    if (tried.error.code === 'EPERM' && isFunction(rung)) forbidden.set(rung.attach, tried);
    return tried;
  };
  /** From its present rung down, as long as it is one of `these`, to the first that is accepted. */
  const settle = (hook: Hook, these: (rung: Rung) => boolean): void => {
    for (let rung = rungOf(hook); rung !== undefined && these(rung); rung = rungOf(hook)) {
      const refused = tryAlone(hook, rung);
      if (refused === undefined || ofThisProcess(refused.error)) return;
      refuse(hook, rung, refused);
    }
  };

  // Each refusal below costs loading all the others again; alone, a program is tried quickly.
  // Functions are what is refused most.
  for (const hook of hooks) settle(hook, isFunction);
  // Each turn of the loop takes one hook one rung down, so it ends.
  for (;;) {
    const standing = hooks.filter((hook) => rungOf(hook) !== undefined);
    if (standing.length === 0) return { states: states() };
    const wanted = new Map<string, Hook>();
    for (const hook of standing) {
      const rung = rungOf(hook);
      if (rung !== undefined) wanted.set(rung.program, hook);
    }
    const tried = attempt(fill, wanted);
    if ('object' in tried) return { object: tried.object, states: states() };
    const { error } = tried;
    const hook = error.program === undefined ? undefined : wanted.get(error.program);
    const rung = hook && rungOf(hook);
    if (hook !== undefined && rung !== undefined && !ofThisProcess(error)) {
      refuse(hook, rung, tried);
      settle(hook, () => true);
      continue;
    }
    // Not about one program: no rung of any hook would fare better.
    const none = hooks.map(({ name }) => ({ hook: name, refusals: refusals.get(name) ?? [] }));
    return { states: none, failure: explainObject(error) + afterTries(tried.tries) };
  }
}

function afterTries(tries: number): string {
  return tries > 1 ? `, after ${tries} tries` : '';
}

/** No descriptor is left: each program would be refused, whatever it does. */
function ofThisProcess({ code }: BpfError): boolean {
  return code === 'EMFILE' || code === 'ENFILE';
}

function isFunction({ attach }: Rung): boolean {
  return attach === 'fentry' || attach === 'kprobe';
}

/** Loads and attaches the wanted programs, in order. Returns the first refusal. */
function tryAll(
  object: BpfObject,
  fill: Preparation['fill'],
  wanted: ReadonlyMap<string, Hook>,
): BpfError | undefined {
  try {
    for (const { name } of object.programs()) object.setAutoload(name, wanted.has(name));
    object.load();
    fill(object);
    for (const program of wanted.keys()) object.attach(program);
    return undefined;
  } catch (error) {
    if (isBpfError(error)) return error;
    object.close();
    throw error;
  }
}
