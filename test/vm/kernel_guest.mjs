// Runs in a guest, or on this machine: the parts of a kernel's test that it is given, one after the
// other, each with its task, and reports what they measured. Judges nothing: matrix.test.ts does.
//
//   kernel_guest.mjs TASKS
//
// TASKS is JSON: { "rungs": …, "irqs": …, "napi": … }, each as in kernel.ts.

import { release } from 'node:os';
import { Captures } from './captures.mjs';
import { measureIrqs, startTrace } from './irq_part.mjs';
import { tryOthers } from './locked_part.mjs';
import { measureNapi } from './napi_part.mjs';
import { report } from './report.mjs';
import { measureRungs } from './rungs_part.mjs';

const { options, rungs, irqs, napi, locked } = JSON.parse(process.argv[2]);

report({ release: release() });
if (irqs !== undefined) startTrace();
const captures = new Captures(options, rungs.rungs);
await measureRungs(captures, rungs);
if (irqs !== undefined) await measureIrqs(captures, irqs);
await measureNapi(captures, napi);
captures.close();
if (locked !== undefined) tryOthers();
