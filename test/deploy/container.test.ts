// The agent in a container with exactly what the DaemonSet gives it, run by a real OCI runtime (crun).
// `npm test` runs it in a clean Debian with the package's files; `npm run test:deploy` builds the image
// of the Containerfile first, by buildah, and runs that, which takes minutes. No kubelet is here.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENABLED } from '../e2e/catalogue.ts';
import { freePort } from '../e2e/free_port.ts';
import { Numbers } from '../e2e/numbers.ts';
import { scratch } from '../e2e/scratch.ts';
import { parseText } from '../metrics/decode.ts';
import { ROOT } from '../repo/project_files.ts';
import { debianRoot } from './machine.ts';
import { containerOf, ociConfig } from './oci.ts';
import { buildPackage } from './package_file.ts';

const files = scratch();
const script = (name: string): string =>
  execFileSync(fileURLToPath(new URL(name, import.meta.url)), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
const kustomize = script('kustomize.sh');

/** Its images stay beside the other things of these tests, not among the machine's own. */
const CACHE = process.env.RXSCOPE_DEPLOY_CACHE ?? '/var/cache/rxscope-deploy';
const BUILDAH = ['buildah', '--root', join(CACHE, 'storage'), '--runroot', join(CACHE, 'run')];
const SECCOMP = '/usr/share/containers/seccomp.json';

/** Of an agent that starts, on a busy machine. */
const START_MS_MAX = 60_000;

interface Image {
  /** A shell's command that prints, or makes and prints, the root folder in a mount namespace. */
  readonly root: string;
  readonly entrypoint: readonly string[];
  close(): void;
}

let image: Image;
let port: number;
beforeAll(async () => {
  port = await freePort();
  image = process.env.RXSCOPE_DEPLOY === 'all' ? builtImage() : cleanRoot();
}, 900_000);
afterAll(() => image?.close());

/** The package's files over a Debian with Node.js; nothing is written there. */
function cleanRoot(): Image {
  console.log('not built from the Containerfile: `npm run test:deploy` does that');
  const extracted = join(files.folder, 'package');
  execFileSync('dpkg', ['-x', buildPackage(files.folder), extracted]);
  const folder = join(files.folder, 'layers');
  mkdirSync(folder);
  // As a runtime has it: the mounts' places are made in a layer of the container's own.
  const own = `own=$(mktemp -d -p ${folder}) && mkdir $own/upper $own/work $own/root`;
  const layers = `lowerdir=${extracted}:${debianRoot()},upperdir=$own/upper,workdir=$own/work`;
  return {
    root: `${own} && mount -t overlay -o ${layers} overlay $own/root && echo $own/root`,
    entrypoint: ['/usr/bin/rxscope'],
    close: () => {},
  };
}

function builtImage(): Image {
  const buildah = (...words: readonly string[]): string =>
    execFileSync(BUILDAH[0] ?? '', [...BUILDAH.slice(1), ...words], { encoding: 'utf8' }).trim();
  const certificates = process.env.NODE_EXTRA_CA_CERTS;
  const options = certificates === undefined ? [] : ['--certificates', certificates];
  const build = join(ROOT, 'deploy/container/build.sh');
  const tag = execFileSync(build, ['--base', debianRoot(), ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BUILDAH: BUILDAH.join(' ') },
  }).trim();
  const container = buildah('from', '--pull-never', `localhost/${tag}`);
  const { OCIv1 } = JSON.parse(buildah('inspect', container)) as {
    OCIv1: { config: { Entrypoint: string[]; User: string } };
  };
  expect(OCIv1.config.User).toBe('0:0');
  return {
    root: `${BUILDAH.join(' ')} mount ${container}`,
    entrypoint: OCIv1.config.Entrypoint,
    close: () => {
      buildah('rm', container);
      // What earlier builds left behind: those that this one has taken the name of.
      buildah('rmi', '--prune');
    },
  };
}

describe('as the DaemonSet has it', () => {
  let agent: Container;
  beforeAll(async () => {
    agent = new Container('as-it-is');
    await agent.measures();
  });
  afterAll(() => agent?.kill());

  test('every probe is up, and every collector succeeds', async () => {
    const numbers = await agent.scrape();
    expect(numbers.find('rxscope_probe_up').map(({ value }) => value)).toEqual(
      ENABLED.map(() => 1),
    );
    const failed = numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1);
    expect(failed, agent.stderr).toEqual([]);
  });

  test('its devices and interrupts are the host’s', async () => {
    const numbers = await agent.scrape();
    const lines = readFileSync('/proc/net/dev', 'utf8').matchAll(/^\s*([^\s:]+):/gm);
    const hosts = [...lines].map(([, name]) => name);
    const devices = numbers.find('rxscope_device_info').map(({ labels }) => labels.device);
    expect(devices.filter((device) => !hosts.includes(device))).toEqual([]);
    expect(devices.length).toBeGreaterThan(0);
    expect(numbers.total('rxscope_interrupts_total')).toBeGreaterThan(0);
  });

  test('it holds no capability any more, and cannot write', async () => {
    const status = readFileSync(`/proc/${agent.pid()}/status`, 'utf8');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      expect(status).toMatch(new RegExp(`^${set}:\\s*0+$`, 'm'));
    }
    expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
    expect(status).toMatch(/^Seccomp:\s*2$/m);
    expect(readFileSync(`/proc/${agent.pid()}/mountinfo`, 'utf8')).toMatch(/ \/ \/ ro[, ]/);
  });

  test('it ends well when it is told to', async () => {
    agent.signal('TERM');
    expect(await agent.ended).toBe(0);
  });
});

test('without the mount of /proc/interrupts it says that it is hidden, and measures all the same', async () => {
  const agent = new Container('hidden', { RXSCOPE_INTERRUPTS_FILE: undefined });
  try {
    await agent.measures();
    const numbers = await agent.scrape();
    const failed = numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1);
    expect(failed.map(({ labels }) => labels.collector)).toContain('interrupt_counts');
    expect(agent.stderr).toContain('hidden by a container runtime');
    expect(numbers.find('rxscope_probe_up').every(({ value }) => value === 1)).toBe(true);
  } finally {
    await agent.kill();
  }
});

/** `crun run` of the image with the privileges of the DaemonSet's container. */
class Container {
  readonly ended: Promise<number | null>;
  stderr = '';
  readonly #child: ChildProcess;
  readonly #id: string;
  readonly #crun = ['crun', '--root', join(files.folder, 'crun')];

  constructor(name: string, env: Readonly<Record<string, string | undefined>> = {}) {
    this.#id = `rxscope-${process.pid}-${name}`;
    const folder = join(files.folder, name);
    mkdirSync(folder);
    const container = containerOf(kustomize, { address: '127.0.0.1', port });
    const config = ociConfig(container, image.entrypoint, SECCOMP, folder, env);
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config, null, 2));
    // Its mounts are in a namespace of their own, and go with it.
    // crun 1.8 refuses to start where both versions of cgroups are in use, so it sees one.
    const command = `mount -t cgroup2 cgroup2 /sys/fs/cgroup && root=$(${image.root}) && mkdir -p "$1/rootfs" && mount --bind "$root" "$1/rootfs" &&
      cd "$1" && shift && exec "$@"`;
    const run = [...this.#crun, '--cgroup-manager=disabled', 'run', this.#id];
    const words = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      command,
      'sh',
      folder,
      ...run,
    ];
    this.#child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const listen = (chunk: Buffer): void => {
      this.stderr += chunk.toString();
    };
    this.#child.stdout?.on('data', listen);
    this.#child.stderr?.on('data', listen);
    this.ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** Resolves once it says so in its log. */
  async measures(): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (!this.stderr.includes('rxscope is measuring')) {
      if (performance.now() > deadlineMs || this.#child.exitCode !== null) {
        throw new Error(`it does not measure:\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async scrape(): Promise<Numbers> {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    return new Numbers(parseText(new Uint8Array(await answer.arrayBuffer()), 'text').series);
  }

  pid(): number {
    const [program = '', ...words] = [...this.#crun, 'state', this.#id];
    return (JSON.parse(execFileSync(program, words, { encoding: 'utf8' })) as { pid: number }).pid;
  }

  signal(name: string): void {
    const [program = '', ...words] = [...this.#crun, 'kill', this.#id, name];
    execFileSync(program, words);
  }

  /** Resolves when it is gone, and its port free again. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      this.signal('KILL');
    } catch {
      // Not there yet, or no more: crun or its shell is.
      this.#child.kill('SIGKILL');
    }
    await this.ended;
  }
}
