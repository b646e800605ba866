// Certificates for the tests of TLS, made by openssl in a temporary folder: an authority, and what it
// issues. Keys are of elliptic curves, which are quick to make.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export interface Issue {
  /** In openssl's form: `IP:127.0.0.1,DNS:localhost`. */
  readonly sans?: string;
  /** Of validity from now on; negative: it has expired. */
  readonly days?: number;
  /** The name of the authority; its own: self-made. */
  readonly by?: string;
}

export interface Certificates {
  readonly folder: string;
  path(file: string): string;
  write(file: string, contents: string | Uint8Array): string;
  /** NAME.pem and NAME.key, an authority. */
  authority(name: string): void;
  /** NAME.pem and NAME.key; replaces those that are there. */
  issue(name: string, options?: Issue): void;
}

/** Call it at the top of a test file, where hooks are registered. */
export function certificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-tls-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...words: readonly string[]) =>
    execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const request = (name: string): void => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl(
      'req',
      ...key,
      '-keyout',
      `${name}.key.new`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
  };
  const sign = (name: string, extensions: string, days: number, by: readonly string[]): void => {
    writeFileSync(join(folder, `${name}.ext`), extensions);
    const what = ['-in', `${name}.csr`, '-days', String(days), '-extfile', `${name}.ext`];
    openssl('x509', '-req', ...what, ...by, '-out', `${name}.pem.new`);
    for (const kind of ['key', 'pem']) {
      execFileSync('mv', [`${name}.${kind}.new`, `${name}.${kind}`], { cwd: folder });
    }
  };
  return {
    folder,
    path: (file) => join(folder, file),
    write: (file, contents) => {
      writeFileSync(join(folder, file), contents);
      return join(folder, file);
    },
    authority: (name) => {
      request(name);
      const self = ['-key', `${name}.key.new`];
      sign(name, 'basicConstraints=critical,CA:TRUE\n', 2, self);
    },
    issue: (name, { sans, days = 2, by = 'ca' } = {}) => {
      request(name);
      const extensions = sans === undefined ? '' : `subjectAltName=${sans}\n`;
      const own = ['-key', `${name}.key.new`];
      const authority = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
      sign(name, extensions, days, by === name ? own : authority);
    },
  };
}
