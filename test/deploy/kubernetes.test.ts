// The Kubernetes manifests, rendered by the real kustomize and held against typed models of the API.
// No cluster is here: whether a kubelet starts the pod is not tested; what the pod's container does
// with these privileges is (container.test.ts).

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { effectiveConfig } from '../../src/config/load.ts';
import { scratch } from '../e2e/scratch.ts';
import { ROOT, textOf } from '../repo/project_files.ts';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

const CORE = 'kubernetes-models/v1';
const OPERATOR = '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';

/** By kind, the module with its model, `DaemonSet`, and the type of its fields, `IDaemonSet`. */
const MODULES: Readonly<Record<string, string>> = {
  ConfigMap: CORE,
  DaemonSet: 'kubernetes-models/apps/v1',
  Namespace: CORE,
  PodMonitor: OPERATOR,
  PrometheusRule: OPERATOR,
  Service: CORE,
  ServiceAccount: CORE,
};

/** Not imported: the type checker would read the packages' declarations, and finds fault with them. */
const require = createRequire(import.meta.url);

interface Model {
  /** Throws a sentence for each fault. */
  validate(): void;
}

function modelOf(manifest: Manifest): Model {
  const module = MODULES[manifest.kind];
  if (module === undefined) throw new Error(`a kind without a check: ${manifest.kind}`);
  const models = require(module) as Record<string, new (data: unknown) => Model>;
  const Kind = models[manifest.kind];
  if (Kind === undefined) throw new Error(`${module} has no ${manifest.kind}`);
  return new Kind(manifest);
}

const kustomize = execFileSync(fileURLToPath(new URL('kustomize.sh', import.meta.url)), {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
}).trim();

const files = scratch();

function render(folder: string): Manifest[] {
  const text = execFileSync(kustomize, ['build', join(ROOT, 'deploy/kubernetes', folder)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

const BASE = ['ConfigMap', 'DaemonSet', 'Namespace', 'Service', 'ServiceAccount'];
const RENDERED = {
  base: render('base'),
  plain: render('overlays/plain'),
  operator: render('overlays/prometheus-operator'),
};

/** Throws unless there is exactly one. */
function only(manifests: readonly Manifest[], kind: string, name = /./): Manifest {
  const found = manifests.filter((one) => one.kind === kind && name.test(one.metadata.name));
  if (found.length !== 1) throw new Error(`${found.length} of kind ${kind} named ${name}`);
  return found[0] as Manifest;
}

test('the base is the agent; one overlay adds the dashboards and the rules as maps, one as the operator wants them', () => {
  const kinds = (manifests: readonly Manifest[]): string[] =>
    [...new Set(manifests.map(({ kind }) => kind))].sort();
  expect(kinds(RENDERED.base)).toEqual(BASE);
  expect(kinds(RENDERED.plain)).toEqual(BASE);
  expect(kinds(RENDERED.operator)).toEqual(
    [...BASE.filter((kind) => kind !== 'Service'), 'PodMonitor', 'PrometheusRule'].sort(),
  );
});

describe.each(Object.entries(RENDERED))('%s', (_, manifests) => {
  test('each manifest is what its kind demands', () => {
    for (const manifest of manifests) {
      const validate = (): void => modelOf(manifest).validate();
      expect(validate, `${manifest.kind} ${manifest.metadata.name}`).not.toThrow();
    }
  });

  test('no manifest has a field that its kind does not know', () => {
    expect(unknownFields(manifests)).toBe('');
  });

  test('everything is in the one namespace', () => {
    for (const { kind, metadata } of manifests) {
      expect([kind, metadata.namespace ?? metadata.name]).toEqual([kind, 'rxscope']);
    }
  });

  test('each dashboard is there, whole, and small enough for a map', () => {
    const folder = 'grafana/dashboards';
    const maps = manifests.filter(({ metadata }) => metadata.name.includes('-dashboard-'));
    if (maps.length === 0) return expect(manifests).toBe(RENDERED.base);
    const data = Object.assign({}, ...maps.map((map) => map.data)) as Record<string, string>;
    expect(Object.keys(data).sort()).toEqual(readdirSync(join(ROOT, folder)).sort());
    for (const [file, text] of Object.entries(data)) {
      expect(text, file).toBe(textOf(`${folder}/${file}`));
      // `kubectl apply` repeats it in an annotation, which holds less than the map: 256 KiB.
      expect(Buffer.byteLength(JSON.stringify(text)), file).toBeLessThan(250_000);
    }
  });
});

test('a field that is misspelt is found, however deep', () => {
  const daemonSet = structuredClone(only(RENDERED.base, 'DaemonSet'));
  const { containers } = podOf(daemonSet);
  Object.assign(containers[0]?.securityContext ?? {}, { readOnlyRootFileSystem: true });
  expect(unknownFields([daemonSet])).toContain('readOnlyRootFileSystem');
  const monitor = structuredClone(only(RENDERED.operator, 'PodMonitor')) as unknown as Monitor;
  Object.assign(monitor.spec.podMetricsEndpoints[0] ?? {}, { intervall: '15s' });
  expect(unknownFields([monitor as unknown as Manifest])).toContain('intervall');
});

test('a field of the wrong type is found', () => {
  const daemonSet = structuredClone(only(RENDERED.base, 'DaemonSet'));
  Object.assign(podOf(daemonSet).containers[0] ?? {}, { ports: [{ containerPort: 'metrics' }] });
  expect(() => modelOf(daemonSet).validate()).toThrow('containerPort');
});

test('the pod has two capabilities and no other privilege', () => {
  const pod = podOf(only(RENDERED.operator, 'DaemonSet'));
  expect(pod.containers.map(({ securityContext }) => securityContext)).toEqual([
    {
      runAsUser: 0,
      runAsGroup: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['BPF', 'PERFMON'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  ]);
  expect(pod).toMatchObject({ hostNetwork: true, hostPID: false, hostIPC: false });
  expect(pod.automountServiceAccountToken).toBe(false);
  const mounts = pod.containers.flatMap(({ volumeMounts }) => volumeMounts);
  expect(mounts.every(({ readOnly }) => readOnly)).toBe(true);
  const paths = pod.volumes.flatMap(({ hostPath }) => (hostPath === undefined ? [] : [hostPath]));
  expect(paths).toEqual([{ path: '/proc/interrupts', type: 'File' }]);
});

test('what the pod is told to run is what the agent understands', () => {
  const pod = podOf(only(RENDERED.base, 'DaemonSet'));
  const container = pod.containers[0];
  const args = (container?.args ?? []).map((arg) => arg.replace('$(HOST_IP)', '192.0.2.7'));
  const flag = (name: string): string =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
  expect(args[0]).toBe('run');
  const map = only(RENDERED.base, 'ConfigMap', /^rxscope-config-/);
  const [[name, text] = ['', '']] = Object.entries(map.data as Record<string, string>);
  expect(flag('config.file')).toBe(`/etc/rxscope/${name}`);
  const config = effectiveConfig({
    configFile: files.write(name, text),
    listenAddress: flag('web.listen-address'),
  });
  expect(config.web.listen_address).toEqual({ host: '192.0.2.7', port: 10_750 });
  expect(container?.ports).toEqual([
    { name: 'metrics', containerPort: 10_750, hostPort: 10_750, protocol: 'TCP' },
  ]);
  expect(pod.volumes.find((volume) => volume.name === 'config')).toEqual({
    name: 'config',
    configMap: { name: map.metadata.name },
  });
});

test('the image is of the version of this checkout', () => {
  const { version } = JSON.parse(textOf('package.json')) as { version: string };
  const image = podOf(only(RENDERED.base, 'DaemonSet')).containers[0]?.image;
  expect(image).toBe(`rxscope:${version}`);
});

test('the PodMonitor finds the pods, and gives the job that the rules ask for', () => {
  const { spec } = only(RENDERED.operator, 'PodMonitor') as unknown as Monitor;
  const daemonSet = only(RENDERED.operator, 'DaemonSet') as unknown as {
    spec: { template: { metadata: { labels: Record<string, string> } } };
  };
  const { labels } = daemonSet.spec.template.metadata;
  expect(labels).toMatchObject(spec.selector.matchLabels);
  expect(spec.podMetricsEndpoints[0]?.port).toBe('metrics');
  const jobs = textOf('grafana/alerts/rxscope.rules.yaml').matchAll(/\bjob="([^"]+)"/g);
  expect(new Set([...jobs].map(([, job]) => job))).toEqual(new Set([labels[spec.jobLabel]]));
});

test('the PrometheusRule is the one in grafana/', () => {
  const { spec } = parse(textOf('grafana/alerts/rxscope.prometheusrule.yaml')) as Manifest;
  expect(only(RENDERED.operator, 'PrometheusRule').spec).toEqual(spec);
});

/**
 * What TypeScript says of the manifests as literals of their kinds' types: there it accepts no property
 * that a type does not have, at any depth. Empty when it has nothing to say.
 */
function unknownFields(manifests: readonly Manifest[]): string {
  // Below the checkout, where the models are found.
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'build/manifests-'));
  try {
    const modules = Object.entries(MODULES).map(
      ([kind, module]) => `import type { I${kind} } from '${module}';`,
    );
    const literals = manifests.map(
      (manifest, index) =>
        `export const manifest${index}: I${manifest.kind} = ${JSON.stringify(manifest, null, 1)};`,
    );
    writeFileSync(join(folder, 'manifests.ts'), [...modules, ...literals].join('\n'));
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022'];
    const modes = ['--module', 'preserve', '--moduleResolution', 'bundler', '--ignoreConfig'];
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [tsc, ...options, ...modes, join(folder, 'manifests.ts')], {
      encoding: 'utf8',
    });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Pod {
  readonly hostNetwork: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly volumes: readonly { name: string; hostPath?: unknown; configMap?: unknown }[];
  readonly containers: readonly {
    readonly image: string;
    readonly args: readonly string[];
    readonly ports: unknown;
    readonly securityContext: object;
    readonly volumeMounts: readonly { readonly readOnly?: boolean }[];
  }[];
}

interface Monitor {
  readonly spec: {
    readonly jobLabel: string;
    readonly selector: { readonly matchLabels: Record<string, string> };
    readonly podMetricsEndpoints: readonly { readonly port: string }[];
  };
}

function podOf(daemonSet: Manifest): Pod {
  return (daemonSet as unknown as { spec: { template: { spec: Pod } } }).spec.template.spec;
}
