// A root folder with Node, npm and the shared libraries that Node itself needs, and nothing else:
// no compiler, no clang, no libbpf. Commands run in it by chroot, in a mount namespace of their
// own, so that no mount outlives them.

import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const IN_ROOT = `
set -e
mount -t proc proc "$0/proc"
mount --rbind /sys "$0/sys"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
`;

export class EmptyRoot {
  readonly path = mkdtempSync(join(tmpdir(), 'rxscope-root-'));

  constructor() {
    for (const folder of ['proc', 'sys', 'dev', 'tmp', 'app', 'home']) {
      mkdirSync(join(this.path, folder));
    }
    for (const program of [process.execPath, '/bin/sh', '/usr/bin/env']) this.copyProgram(program);
    // npm is started as `node npm-cli.js`: its folder, wherever it was installed.
    const npm = realpathSync(
      execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim(),
    );
    cpSync(dirname(dirname(npm)), join(this.path, 'npm'), { recursive: true, dereference: true });
    // What a network client needs: names, certificates. Absent files are absent here too.
    const certificates = process.env.NODE_EXTRA_CA_CERTS ?? '/etc/ssl/certs/ca-certificates.crt';
    for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', certificates]) {
      this.copy(file);
    }
  }

  /** Puts a file of this machine at the same place in the root. */
  copy(file: string, to = file): void {
    if (!existsSync(file)) return;
    cpSync(file, join(this.path, to), { dereference: true });
  }

  /** Runs a program of the root. A failure is an exit code, not an exception. */
  async run(
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> {
    const args = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      IN_ROOT,
      this.path,
      ...command,
    ];
    const inRoot = {
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: '/home',
      ...pick('NODE_EXTRA_CA_CERTS', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'),
      ...env,
    };
    try {
      const { stdout, stderr } = await execute('unshare', args, {
        env: inRoot,
        maxBuffer: 2 ** 26,
      });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as Ended;
      return { code, stdout, stderr };
    }
  }

  node(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.run([process.execPath, ...args], env);
  }

  npm(args: readonly string[]): Promise<Ended> {
    return this.node(['/npm/bin/npm-cli.js', ...args]);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  private copyProgram(program: string): void {
    this.copy(realpathSync(program), program);
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' });
    for (const [library] of libraries.matchAll(/\/\S+/g)) this.copy(library);
  }
}

const execute = promisify(execFile);

function pick(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
