// What the file of --web.config.file may say, as a zod schema: the format of Prometheus' exporter
// toolkit. Reads no file, neither this one nor those that it names: see web_config_file.ts.
// No message shows a value that may be a secret.

import { validateHeaderValue } from 'node:http';
import * as z from 'zod';
import { gotExpected } from './problem.ts';
import { expecting, flag, oneOf, problemsIn, type SettingProblem, section } from './shapes.ts';
import { CIPHER_SUITES, CLIENT_AUTH, CURVES, namesOf, TLS_VERSIONS } from './web_config_names.ts';

/** Version, cost from 4 to 31, 22 characters of salt, 31 of hash. */
export const BCRYPT_HASH = /^\$2[aby]\$(?<cost>0[4-9]|[12]\d|3[01])\$[./A-Za-z\d]{53}$/;

/**
 * A check of this cost takes 0.8 s on the test machine, and twice as long with each step. Whoever logs in
 * for the first time waits for the check that is going on, if only of a wrong password.
 */
export const BCRYPT_COST_MAX = 14;

const tls = section({
  cert_file: filePath(),
  key_file: filePath(),
  client_ca_file: filePath(),
  client_auth_type: given(oneOf(namesOf(CLIENT_AUTH))),
  client_allowed_sans: list(z.string({ error: expecting('a name, an address or a URI') })),
  min_version: given(oneOf(namesOf(TLS_VERSIONS))),
  max_version: given(oneOf(namesOf(TLS_VERSIONS))),
  cipher_suites: list(oneOf(namesOf(CIPHER_SUITES))),
  prefer_server_cipher_suites: given(yesNo()),
  curve_preferences: list(oneOf(namesOf(CURVES))),
});

const webSettings = z.preprocess(
  (value) => value ?? {},
  z.strictObject(
    {
      tls_server_config: tls,
      http_server_config: section({
        http2: given(
          yesNo().refine((on) => !on, {
            error: 'got true, but rxscope speaks HTTP/1.1 only; leave it out, or set it to false',
          }),
        ),
        headers: section({
          'Strict-Transport-Security': header(),
          'X-Content-Type-Options': header('nosniff'),
          'X-Frame-Options': header('deny', 'sameorigin'),
          'X-XSS-Protection': header(),
          'Content-Security-Policy': header(),
        }),
      }),
      basic_auth_users: users(),
    },
    { error: () => 'expected a mapping of settings' },
  ),
);

export type WebSettings = z.output<typeof webSettings>;
export type TlsSettings = WebSettings['tls_server_config'];

/** What newer toolkits know, and why it is not here. */
const NOT_SUPPORTED: ReadonlyMap<string, string> = new Map([
  ['tls_server_config.cert', 'not supported; put the certificate into a file, named by cert_file'],
  ['tls_server_config.key', 'not supported; put the key into a file, named by key_file'],
  [
    'tls_server_config.client_ca',
    'not supported; put the certificates into a file, named by client_ca_file',
  ],
  ['rate_limit', 'not supported; web.requests_in_flight_max bounds the load'],
]);

/** Checks the whole; reports every problem. `tls` is there whenever that section is good by itself. */
export function checkWebSettings(raw: unknown): {
  readonly settings?: WebSettings;
  readonly tls?: TlsSettings;
  readonly problems: readonly SettingProblem[];
} {
  const result = webSettings.safeParse(raw);
  if (result.success) {
    const { data } = result;
    return { settings: data, tls: data.tls_server_config, problems: [] };
  }
  const problems = problemsIn(result.error, webSettings).map(({ path, message }) => ({
    path,
    message: NOT_SUPPORTED.get(path) ?? message,
  }));
  const part = tls.safeParse((raw as { tls_server_config?: unknown } | null)?.tls_server_config);
  return part.success ? { tls: part.data, problems } : { problems };
}

/** A key without a value is one that is not there. */
function given<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => value ?? undefined, schema.optional());
}

function list<Schema extends z.ZodType>(item: Schema) {
  return given(z.array(item, { error: expecting('a list') }));
}

/** Whoever puts a key where its path belongs must not read it again in a log. */
function filePath() {
  const error = () => 'expected the path of a PEM file';
  return given(
    z
      .string({ error })
      .refine((path) => !/-----BEGIN|[\n\0]/.test(path), { error })
      .transform((path) => (path === '' ? undefined : path)),
  );
}

/** The toolkit reads YAML 1.1, where these words are booleans. */
function yesNo() {
  return z.preprocess((value) => {
    if (typeof value !== 'string') return value;
    if (/^(y|yes|on)$/i.test(value)) return true;
    return /^(n|no|off)$/i.test(value) ? false : value;
  }, flag());
}

/** A number is meant as its digits: `X-XSS-Protection: 0`. */
function header(...words: readonly string[]) {
  const expected = words.map((word) => JSON.stringify(word)).join(' or ') || 'text for one line';
  return z.preprocess(
    (value) => {
      if (value === null && words.length === 0) return '';
      return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
    },
    z
      .string({ error: expecting(expected) })
      .refine((value) => (words.length > 0 ? words.includes(value) : isHeaderValue(value)), {
        error: ({ input }) => gotExpected(input, expected),
      })
      .optional(),
  );
}

function isHeaderValue(value: string): boolean {
  try {
    validateHeaderValue('x', value);
    return true;
  } catch {
    return false;
  }
}

/** By user name, the bcrypt hash of the password. A Map: people may be called __proto__. */
function users() {
  return z.preprocess(
    (value) => value ?? {},
    z.unknown().transform((value, context): ReadonlyMap<string, string> => {
      const told = (message: string, ...path: readonly string[]): void => {
        context.addIssue({ code: 'custom', message, path: [...path] });
      };
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        told('expected a mapping from user names to hashes');
        return z.NEVER;
      }
      const hashes = new Map<string, string>();
      for (const [user, hash] of Object.entries(value)) {
        const problem = hashProblem(hash);
        if (problem === undefined) hashes.set(user, String(hash));
        else told(problem, user);
      }
      return hashes;
    }),
  );
}

function hashProblem(hash: unknown): string | undefined {
  const parts = typeof hash === 'string' ? BCRYPT_HASH.exec(hash)?.groups : undefined;
  if (parts === undefined) {
    return 'expected a bcrypt hash of 60 characters, such as `htpasswd -nBC 10 ""` prints behind the colon';
  }
  const cost = Number(parts.cost);
  if (cost <= BCRYPT_COST_MAX) return undefined;
  return (
    `cost ${cost}, expected ${BCRYPT_COST_MAX} at most: each check of a password, a wrong one too, ` +
    `would take ${checkTime(cost)}, which others wait for; 10 is usual`
  );
}

/** On the test machine, roughly. */
function checkTime(cost: number): string {
  const seconds = 0.8 * 2 ** (cost - BCRYPT_COST_MAX);
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const hours = seconds / 3600;
  return hours < 2 ? `${Math.round(seconds / 60)} min` : `${Math.round(hours)} h`;
}
