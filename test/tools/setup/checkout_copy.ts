// A copy of this checkout in a temporary folder, built as far as this one is, to be broken at will.
// Its node_modules is a link to this checkout's: nothing may install into it.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { projectFiles, ROOT } from '../../repo/project_files.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Runs as nobody when the tests run as root: what a test fakes must not touch the system. */
  readonly asNobody?: boolean;
  readonly onStart?: (child: ChildProcess) => void;
}

export class CheckoutCopy {
  readonly root = mkdtempSync(join(tmpdir(), 'rxscope-checkout-'));
  readonly #running = new Set<ChildProcess>();

  constructor(
    files: readonly string[] = [
      ...projectFiles(),
      'dist',
      'build/Release/rxscope.node',
      'build/sanitized/build/Release/rxscope.node',
    ],
  ) {
    // mkdtemp makes it private, but some tests run as nobody.
    chmodSync(this.root, 0o755);
    for (const file of files) {
      cpSync(join(ROOT, file), join(this.root, file), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
  }

  path(file: string): string {
    return join(this.root, file);
  }

  write(file: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), text, { mode });
  }

  /** Removes the link, not what it points to. */
  removeModules(): void {
    unlinkSync(this.path('node_modules'));
  }

  /** Runs one of the set-up's scripts, or any script, with this Node. */
  node(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.#run(process.execPath, args, options);
  }

  npm(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.#run('npm', args, options);
  }

  /** Ends what a failed test left running in it, then deletes the folder. */
  remove(): void {
    for (const child of this.#running) endGroup(child);
    rmSync(this.root, { recursive: true, force: true });
  }

  #run(command: string, args: readonly string[], options: RunOptions): Promise<Ended> {
    const { env = {}, asNobody = false, onStart } = options;
    const identity = asNobody && process.getuid?.() === 0 ? NOBODY : {};
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        cwd: this.root,
        ...identity,
        stdio: ['ignore', 'pipe', 'pipe'],
        // A process group of its own, which can be ended as a whole: npm starts others.
        detached: true,
        env: { ...withoutNpm(), ...env },
      });
      this.#running.add(child);
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        stdout += chunk;
      });
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        stderr += chunk;
      });
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, stdout, stderr });
      });
      onStart?.(child);
    });
  }
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended between two lines of ours.
  }
}

const NOBODY = { uid: 65534, gid: 65534 };

/** The environment less what `npm test` put there, so that npm's own settings do not leak in. */
function withoutNpm(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_)|VITEST|CI$|NODE_ENV$|RXSCOPE_)/.test(name),
  );
  return Object.fromEntries(entries);
}
