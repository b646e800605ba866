// `rxscope run`: the agent behind its HTTP server, until a signal ends it.

import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import { formatAddress } from '../config/address.ts';
import { effectiveConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { WebConfig } from '../config/web_config_file.ts';
import { buildApp } from '../serve/app.ts';
import { ListenError, listen } from '../serve/listen.ts';
import { Agent } from './agent.ts';
import { createLog } from './log.ts';
import type { RunOptions } from './options.ts';
import { dropPrivileges } from './privileges.ts';
import { ServiceManager } from './service_manager.ts';
import type { WebAccess } from './web_access.ts';

/** Time to answer what is in flight and to detach; a supervisor may kill what takes longer. */
const SHUTDOWN_MS_MAX = 2000;

/** Resolves to the exit code when a signal has ended the agent, or when it cannot start. */
export async function runAgent({ config, flags }: RunOptions): Promise<number> {
  const log = createLog(config.log);
  const manager = new ServiceManager(log);
  const web = await webAccess(config, log);
  const agent = new Agent(config, log);
  web?.onReload((taken) => {
    agent.webReloaded(taken);
    if (taken) warnOfOpenAddress(config, web.rules, log);
  });
  agent.showCertificateExpiry(() => web?.rules.tls?.expiresAt);
  const app = buildApp(agent, {
    requestsInFlightMax: config.web.requests_in_flight_max,
    logger: log,
    access: web?.access(),
  });
  let current = config;
  const reload = (): void => {
    manager.reload(() => {
      current = reloaded(agent, current, () => effectiveConfig(flags), log);
      web?.reload();
    });
  };
  process.on('SIGHUP', reload);
  let url: string;
  try {
    url = await listen(app, formatAddress(config.web.listen_address));
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
  if (!(await settled(agent))) {
    await app.close();
    await agent.stop();
    return 0;
  }
  if (config.strict && !everythingUp(agent)) {
    log.fatal('strict: a probe that was asked for is not up; see the lines above');
    await app.close();
    await agent.stop();
    return 1;
  }
  dropPrivileges(
    {
      bpfStats: config.bpf_stats,
      bpftrace: agent.usesBpftrace(),
      configFile: flags.configFile,
      webFiles: web?.files ?? [],
    },
    log,
  );
  warnOfOpenAddress(config, web?.rules, log);

  return new Promise((resolve) => {
    // close-with-grace takes a second signal for impatience, but Ctrl-C under npm sends two, and
    // SIGHUP means reload here: it gets the errors, and the signals are handled below.
    const closing = closeWithGrace(
      { delay: SHUTDOWN_MS_MAX, logger: log, skip: ['SIGHUP', 'SIGINT', 'SIGTERM'] },
      async ({ err }) => {
        process.off('SIGHUP', reload);
        manager.stopping();
        if (err !== undefined) log.fatal({ err }, 'unexpected error');
        await app.close();
        await agent.stop();
        resolve(err === undefined ? 0 : 1);
      },
    );
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, 'stopping');
      closing.close();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    // Said last: whoever waits for this line may signal at once.
    const up = agent.statuses().filter((status) => status.up).length;
    const what = up > 0 ? 'rxscope is measuring' : 'rxscope is running, but measures nothing';
    log.info({ metrics: `${url}/metrics`, page: `${url}/` }, what);
    manager.ready(`${up} of ${agent.enabledProbes().length} probes are up; ${url}/metrics`);
  });
}

function everythingUp(agent: Agent): boolean {
  const enabled = agent.enabledProbes();
  return agent.statuses().every(({ id, up }) => up || !enabled.includes(id));
}

/** Starts the agent. False when a signal came first: bpftrace takes a second or two to attach. */
async function settled(agent: Agent): Promise<boolean> {
  let stop = (): void => {};
  const stopped = new Promise<false>((resolve) => {
    stop = () => resolve(false);
  });
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const result = await Promise.race([agent.start().then(() => true), stopped]);
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
  return result;
}

/** Takes over a new configuration, or keeps the old one and says why. Returns the one in effect. */
function reloaded(agent: Agent, current: Config, read: () => Config, log: Logger): Config {
  let next: Config;
  try {
    next = read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) log.error({ problem }, 'configuration not reloaded');
    agent.reloadFailed();
    return current;
  }
  const fixed = needRestart(current, next);
  if (fixed.length > 0) {
    log.warn({ settings: fixed }, 'these settings take effect only after a restart');
  }
  log.level = next.log.level;
  agent.reconfigure(next);
  log.info('configuration reloaded');
  return next;
}

/** Settings that are built into the loaded programs or the listening socket. */
function needRestart(current: Config, next: Config): string[] {
  const enabled = (config: Config): string =>
    Object.entries(config.probes)
      .filter(([, probe]) => probe.enabled)
      .map(([id]) => id)
      .join();
  const changed: [string, boolean][] = [
    ['probes.*.enabled', enabled(current) !== enabled(next)],
    ['devices_max', current.devices_max !== next.devices_max],
    ['events.pages_per_cpu', current.events.pages_per_cpu !== next.events.pages_per_cpu],
    ['outliers_kept', current.outliers_kept !== next.outliers_kept],
    ['web', JSON.stringify(current.web) !== JSON.stringify(next.web)],
    ['log.format', current.log.format !== next.log.format],
    ['backend', current.backend !== next.backend],
    ['bpf_stats', current.bpf_stats !== next.bpf_stats],
  ];
  return changed.flatMap(([setting, differs]) => (differs ? [setting] : []));
}

/** Loaded only where it is asked for. Throws `ConfigError`. */
async function webAccess({ web }: Config, log: Logger): Promise<WebAccess | undefined> {
  if (web.config_file === undefined) return undefined;
  const { WebAccess } = await import('./web_access.ts');
  return new WebAccess(web.config_file, log);
}

/** Metrics name hosts' devices and ports; whoever opens them to the network should know. */
function warnOfOpenAddress(config: Config, rules: WebConfig | undefined, log: Logger): void {
  const { host } = config.web.listen_address;
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return;
  const address = formatAddress(config.web.listen_address);
  const certified = rules?.tls?.clients.verified === true && rules.tls.clients.required;
  const users = (rules?.users.size ?? 0) > 0;
  if (!users && !certified) {
    log.warn({ address }, 'the metrics can be read from other hosts, without authentication');
  }
  if (users && rules?.tls === undefined) {
    log.warn({ address }, 'passwords come over the network in the clear, without TLS');
  }
}
