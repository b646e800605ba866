// The rules of --web.config.file as the server asks for them: read again once the file, or one that it
// names, has changed. Without a timer: whoever connects or asks is the reason to look. Bad new files
// leave the old rules in force, and the log says so, without a secret.

import { type BigIntStats, statSync } from 'node:fs';
import type { Logger } from 'pino';
import { ConfigError } from '../config/problem.ts';
import { readWebConfig, type WebConfig } from '../config/web_config_file.ts';
import { Access } from '../serve/access.ts';

/**
 * So long must files have been left alone: a new certificate comes some time before its key, and who writes
 * a file anew empties it first. Whatever the time, what was closed is never opened by a reload.
 */
const SETTLED_MS = 250;

export class WebAccess {
  readonly #file: string;
  readonly #log: Logger;
  #config: WebConfig;
  #files: readonly string[];
  #seen: string;
  #told: (taken: boolean) => void = () => {};

  /** Throws `ConfigError` with all problems of the file. */
  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
    const { read, print } = readAndLook(file, [file]);
    if ('problems' in read) throw new ConfigError(read.problems);
    this.#config = read.config;
    this.#files = read.files;
    this.#seen = print;
    for (const warning of read.config.warnings) log.warn({ warning }, 'web configuration');
  }

  /** For the HTTP server. */
  access(): Access {
    return new Access(() => this.#current(), this.#log);
  }

  /** `tell` is called when rules were taken over (true) or refused (false). */
  onReload(tell: (taken: boolean) => void): void {
    this.#told = tell;
  }

  get rules(): WebConfig {
    return this.#config;
  }

  /** What must stay readable. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** Reads everything again, changed or not. Whether it could be taken over. */
  reload(): boolean {
    const { read, print } = readAndLook(this.#file, this.#files);
    this.#files = read.files;
    this.#seen = print;
    const problems = 'problems' in read ? read.problems : this.#impossible(read.config);
    if ('problems' in read || problems.length > 0) {
      for (const problem of problems) {
        this.#log.error({ problem }, 'web configuration not reloaded; the old one stays in force');
      }
      this.#told(false);
      return false;
    }
    this.#config = read.config;
    for (const warning of read.config.warnings) this.#log.warn({ warning }, 'web configuration');
    const { tls, users } = read.config;
    this.#log.info({ tls: tls !== undefined, users: users.size }, 'web configuration reloaded');
    this.#told(true);
    return true;
  }

  #current(): WebConfig {
    const { print, changedMs } = look(this.#files);
    if (print !== this.#seen && Math.abs(Date.now() - changedMs) >= SETTLED_MS) this.reload();
    return this.#config;
  }

  #impossible(next: WebConfig): string[] {
    const problems =
      (next.tls === undefined) === (this.#config.tls === undefined)
        ? opened(this.#config, next)
        : [`tls_server_config: TLS can be switched ${next.tls ? 'on' : 'off'} by a restart only`];
    return problems.map((problem) => `${this.#file}: ${problem}`);
  }
}

/**
 * What was closed, and would be open to more than before. A file that is half written, or half of which
 * is gone, looks just like that; so whoever means it restarts the agent.
 */
function opened(old: WebConfig, next: WebConfig): string[] {
  const problems: string[] = [];
  const add = (setting: string, what: string): void => {
    problems.push(`${setting}: ${what}; a restart alone opens what was closed`);
  };
  if (old.users.size > 0 && next.users.size === 0) {
    add('basic_auth_users', 'no user is left, so nobody would have to log in');
  }
  if (old.tls === undefined || next.tls === undefined) return problems;
  const was = old.tls.clients;
  const now = next.tls.clients;
  if (was.required && !now.required) {
    add('tls_server_config.client_auth_type', 'clients would no longer need a certificate');
  } else if (was.verified && !now.verified) {
    add('tls_server_config.client_auth_type', 'any certificate of a client would do');
  }
  if (was.verified && now.verified && old.tls.context.ca && !next.tls.context.ca) {
    add('tls_server_config.client_ca_file', 'a certificate of any public authority would do');
  }
  if (old.tls.allowedSans && !next.tls.allowedSans) {
    add('tls_server_config.client_allowed_sans', 'any name in a certificate would do');
  }
  return problems;
}

/** Looks before it reads, so that no change in between is missed. `files`: those of the last time. */
function readAndLook(file: string, files: readonly string[]) {
  const { print } = look(files);
  const read = readWebConfig(file);
  if (read.files.join('\0') === files.join('\0')) return { read, print };
  const again = look(read.files).print;
  return { read: readWebConfig(file), print: again };
}

/** What tells one state of the files from another, and when the last of them changed. */
function look(files: readonly string[]): { readonly print: string; readonly changedMs: number } {
  let changedMs = 0;
  const prints = files.map((file) => {
    let stats: BigIntStats;
    try {
      stats = statSync(file, { bigint: true });
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
    changedMs = Math.max(changedMs, Number(stats.ctimeMs));
    // The time of change also tells of permissions, which may have been what was wrong.
    return `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
  });
  return { print: prints.join('\n'), changedMs };
}
