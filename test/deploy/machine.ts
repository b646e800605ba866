// A small Debian in namespaces (machine.sh, debian_root.sh), with systemd or nothing as its process 1,
// on this machine's kernel. What is written there is gone when it is closed.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { vi } from 'vitest';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const INIT = {
  systemd: ['/usr/lib/systemd/systemd', '--system', '--unit=multi-user.target', '--show-status=0'],
  // dpkg and its scripts look for systemd's folder in /run, not at process 1.
  sleep: ['/usr/bin/sleep', 'infinity'],
} as const;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Of a machine that starts; on a busy one underneath a second becomes ten. */
export const SOON = { timeout: 60_000, interval: 100 };

/** The root folder of debian_root.sh, made the first time. */
export function debianRoot(): string {
  return execFileSync(here('debian_root.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

export class Machine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rxscope-machine-'));
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #init = 0;
  #said = '';

  private constructor(init: readonly string[]) {
    const script = [here('machine.sh'), debianRoot(), this.#folder, ...init];
    const command = ['--mount', '--propagation', 'private', ...script];
    this.#child = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    const listen = (chunk: Buffer): void => {
      this.#said += chunk.toString();
    };
    this.#child.stdout?.on('data', listen);
    this.#child.stderr?.on('data', listen);
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
    process.once('exit', this.#kill);
  }

  static async start(init: keyof typeof INIT): Promise<Machine> {
    const machine = new Machine(INIT[init]);
    try {
      await machine.#untilBooted(init);
      return machine;
    } catch (error) {
      await machine.close();
      throw new Error(`the machine did not start; it said:\n${machine.#said}`, { cause: error });
    }
  }

  async #untilBooted(init: keyof typeof INIT): Promise<void> {
    const outer = this.#child.pid;
    await vi.waitFor(() => {
      const children = readFileSync(`/proc/${outer}/task/${outer}/children`, 'utf8').trim();
      const name = readFileSync(`/proc/${children}/comm`, 'utf8').trim();
      if (name !== basename(INIT[init][0])) throw new Error(`process 1 is still ${name}`);
      this.#init = Number(children);
    }, SOON);
    if (init !== 'systemd') return;
    await vi.waitFor(async () => {
      const { stdout, stderr } = await this.run('systemctl', 'is-system-running');
      if (stdout.trim() === 'running') return;
      const { stdout: failed } = await this.run('systemctl', 'list-units', '--failed');
      throw new Error(`systemd is ${stdout.trim()}: ${stderr}${failed}`);
    }, SOON);
  }

  /** A failure is an exit code, not an exception. */
  async run(...command: readonly string[]): Promise<Ended> {
    const { program, words } = this.#inside(command);
    try {
      return { code: 0, ...(await promisify(execFile)(program, words, { maxBuffer: 2 ** 26 })) };
    } catch (error) {
      const { code, stdout, stderr } = error as Ended;
      return { code, stdout, stderr };
    }
  }

  /** As run(), for what must succeed. Returns its output, trimmed. */
  async must(...command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...command);
    if (code === 0) return stdout.trim();
    throw new Error(`${command.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  }

  /** The words of a command that runs in the machine. */
  command(...command: readonly string[]): readonly string[] {
    const { program, words } = this.#inside(command);
    return [program, ...words];
  }

  #inside(command: readonly string[]): { program: string; words: string[] } {
    const namespaces = ['--mount', '--pid', '--cgroup', '--uts', '--ipc', '--net'];
    const env = [
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'LC_ALL=C',
      'DEBIAN_FRONTEND=noninteractive',
    ];
    const words = ['--target', `${this.#init}`, ...namespaces, 'env', '-i', ...env, ...command];
    return { program: 'nsenter', words };
  }

  /** Where a file of the machine is for those outside. */
  path(file: string): string {
    return join(`/proc/${this.#init}/root`, file);
  }

  copy(file: string, to: string): void {
    copyFileSync(file, this.path(to));
  }

  write(file: string, text: string, mode = 0o644): void {
    writeFileSync(this.path(file), text, { mode });
  }

  read(file: string): string {
    return readFileSync(this.path(file), 'utf8');
  }

  /** The body that an address inside answers with. */
  fetch(url: string): Promise<string> {
    return this.must(
      'node',
      '-e',
      `fetch('${url}').then(async (a) => console.log(await a.text()))`,
    );
  }

  /** The number that a process of the machine has outside. */
  pidOutside(inside: number): number {
    const tasks = execFileSync('pgrep', ['--ns', `${this.#init}`, '--nslist', 'pid', '.'], {
      encoding: 'utf8',
    });
    const found = tasks.split('\n').find((pid) => namespacePid(pid) === inside);
    if (found === undefined) throw new Error(`no process ${inside} in the machine`);
    return Number(found);
  }

  readonly #kill = (): void => {
    try {
      if (this.#init > 0) process.kill(this.#init, 'SIGKILL');
      else this.#child.kill('SIGKILL');
    } catch {
      // Process 1 has ended by itself.
    }
    this.#init = 0;
  };

  async close(): Promise<void> {
    process.off('exit', this.#kill);
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#kill();
    await this.#closed;
    execFileSync('unshare', ['--mount', 'sh', '-c', REMOVE_CGROUPS, this.#folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A group is busy for a moment after its last process has ended. */
const REMOVE_CGROUPS = `
mount --make-rprivate / && mount -t cgroup2 cgroup2 "$0/cgroup"
for try in 1 2 3 4 5 6 7 8 9 10; do
  find "$0/cgroup/\${0##*/}" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$0/cgroup/\${0##*/}" ] || exit 0
  sleep 0.2
done
echo "left behind: control group \${0##*/}" >&2
`;

function namespacePid(pid: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^NSpid:.*\t(\d+)$/m.exec(status)?.[1]);
  } catch {
    // Ended since it was listed.
    return undefined;
  }
}
