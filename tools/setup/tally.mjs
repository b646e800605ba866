// A vitest reporter that writes, for test.mjs, the counts, the reasons of skipped tests, what passed at
// its second run only, with the reason why it may (test/second_run.ts), and how long each file took.
// vitest's JSON reporter has neither the reasons nor the files that failed to load.

import { writeFileSync } from 'node:fs';

export default class Tally {
  #secondBoots = [];

  /** Guests that had to be booted twice (test/vm/guest.ts). */
  onUserConsoleLog({ content }) {
    this.#secondBoots.push(...content.split('\n').filter((line) => /^second boot of /.test(line)));
  }

  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: unhandledErrors.length, skipped: [], secondRun: [] };
    tally.secondBoots = this.#secondBoots;
    tally.files = modules.map((module) => ({
      file: module.relativeModuleId,
      seconds: seconds(module),
    }));
    for (const module of modules) {
      // A file that could not be loaded, or whose hook failed, holds no failed test of its own.
      const failedBefore = tally.failed;
      for (const test of module.children.allTests()) count(tally, module, test);
      if (module.state() === 'failed' && tally.failed === failedBefore) tally.failed += 1;
    }
    writeFileSync(process.env.RXSCOPE_TALLY_FILE, JSON.stringify(tally));
  }
}

/** With its hooks, and what it imports. */
function seconds(module) {
  const { collectDuration, setupDuration, duration } = module.diagnostic();
  return (collectDuration + setupDuration + duration) / 1000;
}

function count(tally, module, test) {
  const { state, note, errors } = test.result();
  const name = `${module.relativeModuleId} > ${test.fullName}`;
  if (state === 'passed') {
    tally.passed += 1;
    if (test.diagnostic()?.flaky) {
      const found = errors?.[0]?.message ?? 'no message';
      tally.secondRun.push({ name, found, reason: test.meta().secondRun });
    }
  } else if (state === 'failed') tally.failed += 1;
  else {
    const unnamed = module.state() === 'failed' ? 'a hook before it failed' : 'no reason given';
    tally.skipped.push({ name, reason: note ?? unnamed });
  }
}
