// `rxscope run`: the agent behind its HTTP server, until a signal ends it.

import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import { formatAddress } from '../config/address.ts';
import { type ConfigFlags, effectiveConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { WebConfig } from '../config/web_config_file.ts';
import { buildApp } from '../serve/app.ts';
import { ListenError, listen } from '../serve/listen.ts';
import { Agent } from './agent.ts';
import { createLog } from './log.ts';
import { LogOutput } from './log_output.ts';
import { answered, giveBack } from './memory.ts';
import { dropPrivileges } from './privileges.ts';
import { ServiceManager } from './service_manager.ts';
import { askedToEnd, closeDebugger, endInOrder, reloadAtHangUp, STRAY } from './signals.ts';
import type { WebAccess } from './web_access.ts';

/** Time to answer what is in flight and to detach; a supervisor may kill what takes longer. */
const SHUTDOWN_MS_MAX = 2000;

/** Of that, for the log's last lines. */
const LAST_LINES_MS_MAX = 200;

export interface RunOptions {
  readonly config: Config;
  /** For SIGHUP: `effectiveConfig(flags)` reads the file again and lays the same flags over it. */
  readonly flags: ConfigFlags;
}

/** Resolves to the exit code when a signal has ended the agent, or when it cannot start. */
export async function runAgent({ config, flags }: RunOptions): Promise<number> {
  endInOrder();
  const output = new LogOutput();
  const log = createLog(config.log, output);
  output.onRecovered = (lines, reason) => log.warn({ lines, reason }, 'lines of the log were lost');
  for (const signal of STRAY) {
    process.once(signal, () =>
      log.warn({ signal }, 'this signal means nothing here; SIGHUP reloads'),
    );
  }
  const manager = new ServiceManager(log);
  const web = await webAccess(config, log);
  const agent = new Agent(config, log);
  web?.onReload((taken) => {
    agent.webReloaded(taken);
    if (taken) warnOfOpenAddress(config, web.rules, log);
  });
  agent.showCertificateExpiry(() => web?.rules.tls?.expiresAt);
  agent.showLostLogLines(() => output.lost);
  const app = buildApp(agent, {
    requestsInFlightMax: config.web.requests_in_flight_max,
    logger: log,
    access: web?.access(),
  });
  app.addHook('onResponse', async () => answered());
  let current = config;
  reloadAtHangUp(() => {
    if (askedToEnd.aborted) return;
    manager.reload(() => {
      current = reloaded(agent, current, () => effectiveConfig(flags), log);
      web?.reload();
    });
  });
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const finish = async (): Promise<void> => {
    manager.stopping();
    await app.close();
    await agent.stop();
    await output.flushed(LAST_LINES_MS_MAX);
  };
  // close-with-grace takes a second signal for impatience, but Ctrl-C under npm sends two: it gets the
  // errors, and the signals are handled below. It ends the process by itself, with the same code.
  const closing = closeWithGrace(
    { delay: SHUTDOWN_MS_MAX, logger: log, skip: ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGUSR2'] },
    async ({ err }) => {
      if (err !== undefined) log.fatal({ err }, 'unexpected error');
      await finish();
      end(err === undefined ? 0 : 1);
    },
  );
  const stop = (): void => {
    log.info({ signal: askedToEnd.reason }, 'stopping');
    closing.close();
  };
  if (askedToEnd.aborted) stop();
  else askedToEnd.addEventListener('abort', stop);

  let url: string;
  try {
    url = await listen(app, formatAddress(config.web.listen_address));
    if (!askedToEnd.aborted) await agent.start();
  } catch (error) {
    // A server that is closed already cannot listen.
    if (askedToEnd.aborted) return ended;
    closing.uninstall();
    if (!(error instanceof ListenError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
  if (askedToEnd.aborted) return ended;
  if (config.strict && !everythingUp(agent)) {
    log.fatal('strict: a probe that was asked for is not up; see the lines above');
    closing.uninstall();
    await finish();
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
  closeDebugger();
  giveBack();

  // Said last: whoever waits for this line may signal at once.
  const up = agent.statuses().filter((status) => status.up).length;
  const what = up > 0 ? 'rxscope is measuring' : 'rxscope is running, but measures nothing';
  log.info({ metrics: `${url}/metrics`, page: `${url}/` }, what);
  manager.ready(`${up} of ${agent.enabledProbes().length} probes are up; ${url}/metrics`);
  return ended;
}

function everythingUp(agent: Agent): boolean {
  const enabled = agent.enabledProbes();
  return agent.statuses().every(({ id, up }) => up || !enabled.includes(id));
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
