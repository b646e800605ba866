// The matrix: kernel × probe × rung, how many samples, and whether the books balance. What it says of
// a cell is what the tests have measured; it measures nothing. Pure.

import { ATTACHES, type Attach } from '../../src/capture/hooks.ts';
import { booksOf } from '../kernel/books.ts';
import { USUAL_PROBES } from '../kernel/options.ts';
import { irqLine } from './irq_checks.ts';
import type { KernelRun } from './kernel_run.ts';
import type { Kernel } from './kernels.ts';
import { alreadyRaised, irqCount, isUp, leastHeldOf, rungLine } from './rung_checks.ts';
import { replay } from './trace.ts';

export interface Cell {
  readonly probe: string;
  readonly rung: Attach;
  /** `1234 ✓`, or why there is no number. */
  readonly text: string;
  readonly missing: boolean;
}

export function cellsOf(kernel: Kernel, run: KernelRun): Cell[] {
  return USUAL_PROBES.flatMap((probe) =>
    ATTACHES.map((rung) => {
      const { captured } = rungLine(run, 'veth', rung);
      const there = { probe, rung };
      if (!isUp(captured)) {
        const missing = !kernel.mayRefuse.includes(rung);
        return { ...there, text: 'refused', missing };
      }
      if (probe !== 'irq_to_softirq') {
        const { observed, difference } = booksOf(captured, probe);
        return { ...there, ...samples(observed, difference === 0) };
      }
      // Nobody sends to a card there that could be counted, and loopback has no interrupts.
      if (!kernel.cards) return { ...there, text: 'up', missing: false };
      // The classic tracepoints do not name the thread that an interrupt is left to.
      if (kernel.threadedInterrupts && rung === 'tracepoint') {
        return { ...there, text: 'threads', missing: false };
      }
      const held = irqLine(run, 'held');
      const one = held.rungs.find((other) => other.rung === rung);
      const { served, alreadyRaised: waited } = replay(held.trace);
      const observed = one === undefined ? 0 : irqCount(one.captured);
      const accounted = one === undefined ? 0 : observed + alreadyRaised(one.captured);
      const raises = served.length + waited;
      const balanced = accounted <= raises && accounted >= leastHeldOf(rung, raises);
      return { ...there, ...samples(observed, balanced) };
    }),
  );
}

function samples(observed: number, balanced: boolean): Pick<Cell, 'text' | 'missing'> {
  return { text: `${observed} ${balanced ? '✓' : '✗'}`, missing: observed === 0 || !balanced };
}

const LEGEND = `Samples of each probe on each rung, over the same packets; ✓: the books balance.
refused: this kernel allows no such program; up: attached, but no traffic of a card to send;
threads: classic tracepoints do not name the thread that the interrupt is left to.`;

export function printMatrix(runs: readonly { kernel: Kernel; run: KernelRun }[]): string {
  const rows = [['kernel', 'release', 'probe', ...ATTACHES]];
  for (const { kernel, run } of runs) {
    const cells = cellsOf(kernel, run);
    for (const [i, probe] of USUAL_PROBES.entries()) {
      const about = i === 0 ? [kernel.name, run.release] : ['', `${run.seconds.toFixed(0)} s`];
      if (i === 2) about[1] = '';
      const texts = cells.filter((cell) => cell.probe === probe).map(({ text }) => text);
      rows.push([...about, probe, ...texts]);
    }
  }
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  return [...lines, LEGEND].join('\n');
}
