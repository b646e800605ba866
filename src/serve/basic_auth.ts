// HTTP basic authentication against bcrypt hashes. Remembers what it has checked, so that a scraper
// costs one check and no more; remembers it by a keyed digest only. Does not know HTTP answers.

import { createHmac, randomBytes } from 'node:crypto';
import { PasswordChecks } from './password_checks.ts';

/** `busy`: nobody knows, since too many others are being checked. */
export type Verdict = 'granted' | 'refused' | 'busy';

export class BasicAuth {
  readonly #checks = new PasswordChecks();
  /** Of this process alone: the digests below mean nothing to anybody else. */
  readonly #secret = randomBytes(32);
  // Apart from each other, so that wrong passwords do not push out right ones.
  readonly #granted = new Remembered();
  readonly #refused = new Remembered();

  /** `users`: hashes by name. `address` of the client: no one address takes all the checks. */
  async check(
    authorization: string | undefined,
    users: ReadonlyMap<string, string>,
    address: string,
  ): Promise<Verdict> {
    const given = credentials(authorization);
    if (given === undefined) return 'refused';
    const known = users.get(given.user);
    // Also for a name that is not known: the time that it takes must not tell.
    const hash = known ?? decoy(users);
    const key = this.#digest(given.user, hash, given.password);
    if (known !== undefined && this.#granted.has(key)) return 'granted';
    if (this.#refused.has(key)) return 'refused';
    const right = await this.#checks.check({ key, hash, password: given.password, address });
    if (right === undefined) return 'busy';
    const granted = right && known !== undefined;
    (granted ? this.#granted : this.#refused).add(key);
    return granted ? 'granted' : 'refused';
  }

  /** What still waits is answered by `busy`. */
  close(): Promise<void> {
    return this.#checks.close();
  }

  /** With the hash in it: once that is another one, what was known of the old one is not found. */
  #digest(...parts: readonly string[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('base64');
  }
}

/** As many as the exporter toolkit remembers. */
const REMEMBERED_MAX = 100;

/** A set that forgets what was not asked for the longest. */
class Remembered {
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    if (!this.#keys.delete(key)) return false;
    this.#keys.add(key);
    return true;
  }

  add(key: string): void {
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#keys) {
      this.#keys.delete(oldest);
      break;
    }
  }
}

/** RFC 7617: the password may contain a colon, the name may not. */
export function credentials(
  authorization: string | undefined,
): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^basic +([a-z\d+/]+=*) *$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** A hash of no password, that takes as long to check as the most expensive one of a user. */
function decoy(users: ReadonlyMap<string, string>): string {
  const costs = [...users.values()].map((hash) => hash.slice(4, 6)).sort();
  return `$2b$${costs.at(-1) ?? '10'}$${'.'.repeat(53)}`;
}
