// The program of traffic/sockets.cc in a network namespace: sockets that a test opens, fills, locks and
// closes one command at a time. Built once for all of a test file.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { run } from './lab.ts';

/** Builds the program; `remove` deletes it. */
export function buildSockets(): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-sockets-'));
  const path = join(folder, 'sockets');
  const source = fileURLToPath(new URL('./traffic/sockets.cc', import.meta.url));
  run('g++', '-O2', '-std=c++20', '-Wall', '-Werror', '-pthread', '-o', path, source);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export class Sockets {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: ((line: string) => void)[] = [];

  constructor(program: string, namespace: string) {
    this.#child = spawn('ip', ['netns', 'exec', namespace, program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface(this.#child.stdout).on('line', (line) => this.#waiting.shift()?.(line));
    this.#child.once('exit', (code) => {
      for (const answer of this.#waiting.splice(0)) answer(`error it has ended with ${code}`);
    });
  }

  /** One command; the number that it answers with. Throws what it could not do. */
  async do(command: string): Promise<number> {
    const answer = await this.try(command);
    if (typeof answer === 'string') throw new Error(`${command}: ${answer}`);
    return answer;
  }

  /** The same; why not, where it could not be done. */
  try(command: string): Promise<number | string> {
    return new Promise((resolve) => {
      this.#waiting.push((line) =>
        resolve(line.startsWith('error ') ? line.slice('error '.length) : Number(line)),
      );
      this.#child.stdin.write(`${command}\n`);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Resolves when the program and all its sockets are gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null) resolve();
      this.#child.once('exit', () => resolve());
      this.#child.stdin.end();
    });
  }
}
