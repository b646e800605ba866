// Named sets of budgets. A profile changes nothing but budgets, and a budget that the configuration states
// wins. Each probe says its own; the figures that the reasons there cite are typical ones, not laws.

/**
 * Who bears what:
 * - `hft`: high-frequency trading, less than 10 µs one way, 3 to 5 µs of it in the kernel.
 * - `gaming`: a game, less than 20 ms, 5 to 10 ms of it in the server.
 * - `voip`: a call, less than 100 ms, 5 to 10 ms of it in a host's stack, and 30 ms of jitter.
 * - `web`: a web page, which feels instant below 200 ms.
 */
export const PROFILE_NAMES = ['hft', 'gaming', 'voip', 'web'] as const;
export type ProfileName = (typeof PROFILE_NAMES)[number];
