// Reads the file of --web.config.file and the certificates that it names, into what the HTTP server
// needs. Checks that they fit each other as far as can be seen without a client. Keeps nothing.

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { readBounded, readSettingsFile } from './file.ts';
import { checkWebSettings, type TlsSettings, type WebSettings } from './web_config.ts';
import {
  checkAuthorities,
  checkContext,
  checkPair,
  firstExpiry,
} from './web_config_certificates.ts';
import { CIPHER_SUITES, CLIENT_AUTH, CURVES, TLS_VERSIONS } from './web_config_names.ts';

export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: WebTls | undefined;
  /** By name; on every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** By user name, the bcrypt hash of the password. Empty: nobody has to log in. */
  readonly users: ReadonlyMap<string, string>;
  /** What can be used, but should not stay so; one line each. */
  readonly warnings: readonly string[];
}

export interface WebTls {
  readonly context: SecureContextOptions;
  readonly clients: (typeof CLIENT_AUTH)[keyof typeof CLIENT_AUTH];
  /** Of a client's certificate; undefined: any name will do. */
  readonly allowedSans: readonly string[] | undefined;
  /** The first of the certificates in cert_file, in seconds since 1970. */
  readonly expiresAt: number;
}

export type WebConfigRead = {
  /** The file and those that it names, whether or not they could be read. */
  readonly files: readonly string[];
} & ({ readonly config: WebConfig } | { readonly problems: readonly string[] });

/** Never throws for what is wrong with the files, and says so without their secrets. */
export function readWebConfig(file: string): WebConfigRead {
  const files = [file];
  const special = notRegular(file);
  if (special !== undefined) return { files, problems: [`${file}: ${special}`] };
  const { settings: raw, problems: syntax, usable } = readSettingsFile(file, { secret: true });
  const problems = syntax.map((problem) => `${file}: ${problem}`);
  if (!usable) return { files, problems };

  const checked = checkWebSettings(raw);
  const add = (path: string, message: string): void => {
    problems.push([file, path, message].filter((part) => part !== '').join(': '));
  };
  for (const { path, message } of checked.problems) add(path, message);
  const warnings: string[] = [];
  const tls = checked.tls && tlsOf(checked.tls, dirname(file), { files, warnings, add });
  const { settings } = checked;
  if (settings === undefined || problems.length > 0) return { files, problems };
  warnings.push(...userWarnings(settings));
  const config = {
    tls,
    headers: headersOf(settings),
    users: settings.basic_auth_users,
    warnings: warnings.map((warning) => `${file}: ${warning}`),
  };
  return { files, config };
}

interface Findings {
  readonly files: string[];
  readonly warnings: string[];
  add(path: string, message: string): void;
}

function tlsOf(tls: TlsSettings, folder: string, findings: Findings): WebTls | undefined {
  const add = (setting: string, message: string): void =>
    findings.add(`tls_server_config.${setting}`, message);
  const { cert_file, key_file, client_ca_file } = tls;
  if (cert_file === undefined && key_file === undefined) {
    // The toolkit takes some of them for plain HTTP: who wrote them down meant TLS.
    if (Object.values(tls).some((value) => value !== undefined)) {
      add('cert_file', 'missing: without a certificate and its key there is no TLS');
    }
    return undefined;
  }
  if (cert_file === undefined) add('cert_file', 'missing, while there is a key_file');
  if (key_file === undefined) add('key_file', 'missing, while there is a cert_file');

  const bytesOf = (setting: string, path: string | undefined): Buffer | undefined => {
    if (path === undefined) return undefined;
    const file = resolve(folder, path);
    findings.files.push(file);
    const bytes = notRegular(file) ?? readBounded(file);
    if (typeof bytes !== 'string') return Buffer.from(bytes);
    add(setting, `${file}: ${bytes}`);
    return undefined;
  };
  const cert = bytesOf('cert_file', cert_file);
  const key = bytesOf('key_file', key_file);
  const ca = bytesOf('client_ca_file', client_ca_file);
  const warn = (setting: string, message: string): void => {
    findings.warnings.push(`tls_server_config.${setting}: ${message}`);
  };
  const pairIsGood = checkPair(cert, key, { add, warn });
  const authoritiesAreGood = checkAuthorities(ca, { add, warn });
  clientProblems(tls, { add, warn });
  const range = [tls.min_version ?? 'TLS12', tls.max_version ?? 'TLS13'] as const;
  const rangeIsGood = range[0] <= range[1];
  if (!rangeIsGood) add('min_version', `${range[0]} is higher than max_version, ${range[1]}`);

  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    minVersion: TLS_VERSIONS[range[0]],
    maxVersion: TLS_VERSIONS[range[1]],
    ...ciphersOf(tls),
    ...(tls.curve_preferences?.length
      ? { ecdhCurve: tls.curve_preferences.map((name) => CURVES[name]).join(':') }
      : {}),
    honorCipherOrder: tls.prefer_server_cipher_suites ?? true,
  };
  if (pairIsGood && authoritiesAreGood && rangeIsGood) checkContext(context, add);
  const clients = CLIENT_AUTH[tls.client_auth_type ?? 'NoClientCert'];
  const expiresAt = cert === undefined ? 0 : firstExpiry(cert);
  return { context, clients, allowedSans: tls.client_allowed_sans, expiresAt };
}

interface Said {
  add(setting: string, message: string): void;
  warn(setting: string, message: string): void;
}

/** Which client certificates are asked for, and whether that can be what was meant. */
function clientProblems(tls: TlsSettings, { add, warn }: Said): void {
  const type = tls.client_auth_type ?? 'NoClientCert';
  const { asked, required, verified } = CLIENT_AUTH[type];
  if (tls.client_ca_file !== undefined && !asked) {
    add('client_auth_type', `${type}, while there is a client_ca_file; expected another policy`);
  }
  if (tls.client_allowed_sans !== undefined && !required) {
    add(
      'client_allowed_sans',
      'needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: ' +
        'else a client without a certificate has no name to compare',
    );
  }
  if (verified && tls.client_ca_file === undefined && tls.client_allowed_sans === undefined) {
    warn('client_ca_file', 'missing: a certificate of any public authority will do');
  }
  if (asked && !verified) {
    warn('client_auth_type', `with ${type} any certificate will do, also a self-made one`);
  }
}

/**
 * The suites of TLS 1.3 are always on, as in Go. Versions below 1.2 sign with SHA-1, which OpenSSL
 * allows at security level 0 only.
 */
function ciphersOf({ cipher_suites = [], min_version }: TlsSettings): { ciphers?: string } {
  const named = cipher_suites.map((name) => CIPHER_SUITES[name]);
  const suites13 = Object.values(CIPHER_SUITES).filter((name) => name.startsWith('TLS_'));
  const base = named.length > 0 ? [...new Set([...named, ...suites13])] : undefined;
  const old = min_version === 'TLS10' || min_version === 'TLS11';
  if (!old) return base === undefined ? {} : { ciphers: base.join(':') };
  return { ciphers: [...(base ?? [...suites13, 'DEFAULT']), '@SECLEVEL=0'].join(':') };
}

/** A blank one is left out. */
function headersOf({ http_server_config }: WebSettings): Record<string, string> {
  const stated = Object.entries(http_server_config.headers);
  return Object.fromEntries(stated.flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

function userWarnings({ basic_auth_users }: WebSettings): string[] {
  return [...basic_auth_users.keys()].flatMap((user) => {
    const where = `basic_auth_users.${JSON.stringify(user)}`;
    return user.includes(':')
      ? [`${where}: nobody can log in by a name with a colon, which ends the name`]
      : [];
  });
}

/** It is read again whenever it has changed: a pipe would end that, and block the agent. */
function notRegular(file: string): string | undefined {
  try {
    const stats = statSync(file);
    if (stats.isFile() || stats.isDirectory()) return undefined;
  } catch {
    // Reading it says why.
    return undefined;
  }
  return 'not a regular file, which it must be to be read again when it changes';
}
