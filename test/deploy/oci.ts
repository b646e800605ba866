// The DaemonSet's container as the configuration of an OCI runtime, as a kubelet and containerd would
// have it: capabilities, filter of system calls, hidden files, mounts. Starts nothing.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../repo/project_files.ts';

export interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: {
    readonly runAsUser: number;
    readonly runAsGroup: number;
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  /** By volume. */
  readonly hostPaths: Readonly<Record<string, string>>;
  /** Text by file name, by volume. */
  readonly maps: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data: Record<string, string>;
  readonly spec: { readonly template: { readonly spec: PodSpec } };
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
    readonly configMap?: { readonly name: string };
  }[];
}

/** The container of the rendered base, on a node with this address. The port is changed. */
export function containerOf(
  kustomize: string,
  { address, port }: { readonly address: string; readonly port: number },
): Container {
  const folder = join(ROOT, 'deploy/kubernetes/base');
  const text = execFileSync(kustomize, ['build', folder], { encoding: 'utf8' });
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  const pod = manifests.find(({ kind }) => kind === 'DaemonSet')?.spec.template.spec;
  const [container] = pod?.containers ?? [];
  if (pod === undefined || container === undefined) throw new Error('no DaemonSet, no container');
  const mapOf = (name: string): Record<string, string> =>
    manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)?.data ??
    {};
  return {
    ...container,
    args: container.args.map((arg) => arg.replace('$(HOST_IP):10750', `${address}:${port}`)),
    hostPaths: Object.fromEntries(
      pod.volumes.flatMap(({ name, hostPath }) => (hostPath ? [[name, hostPath.path]] : [])),
    ),
    maps: Object.fromEntries(
      pod.volumes.flatMap(({ name, configMap }) =>
        configMap ? [[name, mapOf(configMap.name)]] : [],
      ),
    ),
  };
}

/** What containerd hides of /proc and /sys, and what it makes read-only, unless told otherwise. */
const MASKED = [
  ...['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi'],
  ...['timer_list', 'timer_stats'],
].map((name) => `/proc/${name}`);
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

export function ociConfig(
  { args, env, securityContext, volumeMounts, hostPaths, maps }: Container,
  entrypoint: readonly string[],
  seccompFile: string,
  folder: string,
  changedEnv: Readonly<Record<string, string | undefined>>,
): object {
  const capabilities = securityContext.capabilities.add.map((name) => `CAP_${name}`);
  const variables: Record<string, string | undefined> = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
    ...changedEnv,
  };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: securityContext.runAsUser, gid: securityContext.runAsGroup },
      args: [...entrypoint, ...args],
      env: Object.entries(variables).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}=${value}`],
      ),
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: !securityContext.allowPrivilegeEscalation,
    },
    root: { path: 'rootfs', readonly: securityContext.readOnlyRootFilesystem },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/sys',
        type: 'sysfs',
        source: 'sysfs',
        options: ['nosuid', 'noexec', 'nodev', 'ro'],
      },
      ...volumeMounts.map(({ name, mountPath }) => ({
        destination: mountPath,
        type: 'bind',
        source: hostPaths[name] ?? mapFolder(folder, name, maps[name] ?? {}),
        options: ['rbind', 'ro'],
      })),
    ],
    linux: {
      // None for the network: the host's.
      namespaces: ['pid', 'mount', 'uts', 'ipc'].map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
      seccomp: seccompFor(seccompFile, capabilities),
    },
  };
}

/** As a kubelet lays out a ConfigMap. */
function mapFolder(folder: string, name: string, map: Readonly<Record<string, string>>): string {
  const path = join(folder, `map-${name}`);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(map)) writeFileSync(join(path, file), text);
  return path;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly includes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
    readonly excludes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
    readonly [field: string]: unknown;
  }[];
}

/** What containerd 1.7 lets through for CAP_BPF and CAP_PERFMON; Debian 12's profile knows neither. */
const BY_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

/** The default profile of Debian's container tools, for these capabilities on x86-64. */
function seccompFor(file: string, capabilities: readonly string[]): object {
  const { defaultAction, defaultErrnoRet, syscalls } = JSON.parse(
    readFileSync(file, 'utf8'),
  ) as Profile;
  const allowed = capabilities.flatMap((name) => BY_CAPABILITY[name] ?? []);
  const rules = syscalls
    .filter(({ includes, excludes }) => {
      const has = (name: string): boolean => capabilities.includes(name);
      const capable = includes?.caps?.every(has) ?? true;
      const arch = includes?.arches?.includes('amd64') ?? true;
      const not = excludes?.caps?.some(has) || excludes?.arches?.includes('amd64');
      return capable && arch && !not;
    })
    .map(({ includes, excludes, comment, ...rule }) => ({
      ...rule,
      names: rule.names.filter((name) => !allowed.includes(name)),
    }))
    .filter(({ names }) => names.length > 0);
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [...rules, { names: allowed, action: 'SCMP_ACT_ALLOW' }],
  };
}
