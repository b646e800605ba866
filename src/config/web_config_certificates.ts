// Whether a certificate, its key and the clients' authorities can be used, and until when. Works on
// bytes; no message contains any of them.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

interface Said {
  add(setting: string, message: string): void;
  warn(setting: string, message: string): void;
}

/** What could not be read is undefined, and has been told already. */
export function checkPair(cert: Buffer | undefined, key: Buffer | undefined, said: Said): boolean {
  const chain = cert && certificatesIn(cert);
  if (chain !== undefined && chain.length === 0) {
    said.add('cert_file', 'no certificate in it, expected one in PEM');
  }
  const own = chain?.[0];
  if (own !== undefined) warnOfDates('cert_file', own, said);
  const privateKey = key && privateKeyIn(key, said);
  if (own === undefined || privateKey === undefined) return false;
  // The first certificate is the server's own; those behind it lead to an authority.
  const fits = own.checkPrivateKey(privateKey);
  if (!fits) {
    said.add('key_file', 'not the key of the first certificate in cert_file; check both paths');
  }
  return fits;
}

/** In seconds since 1970. One that leads to an authority counts as the server's own: clients need both. */
export function firstExpiry(cert: Buffer): number {
  return Math.min(...certificatesIn(cert).map(({ validTo }) => Date.parse(validTo))) / 1000;
}

/** True also when there are none. */
export function checkAuthorities(ca: Buffer | undefined, said: Said): boolean {
  if (ca === undefined) return true;
  const authorities = certificatesIn(ca);
  for (const authority of authorities) warnOfDates('client_ca_file', authority, said);
  if (authorities.length > 0) return true;
  said.add('client_ca_file', 'no certificate in it, expected those of the authorities in PEM');
  return false;
}

/** OpenSSL has rules of its own, about short keys and weak digests for instance. */
export function checkContext(
  context: SecureContextOptions,
  add: (setting: string, message: string) => void,
): void {
  try {
    createSecureContext(context);
  } catch (error) {
    add('cert_file', `refused by OpenSSL: ${error instanceof Error ? error.message : error}`);
  }
}

/** All that can be parsed, in order. */
function certificatesIn(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(CERTIFICATE) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function privateKeyIn(pem: Buffer, { add }: Said) {
  try {
    return createPrivateKey(pem);
  } catch {
    add(
      'key_file',
      // `ENCRYPTED PRIVATE KEY`, or `Proc-Type: 4,ENCRYPTED` in older files.
      pem.includes('ENCRYPTED')
        ? 'the key is encrypted, expected one without a passphrase'
        : 'no private key in it, expected one in PEM',
    );
    return undefined;
  }
}

function warnOfDates(setting: string, certificate: X509Certificate, { warn }: Said): void {
  const { validFrom, validTo } = certificate;
  const name = certificate.subject?.replaceAll('\n', ', ') || 'without a subject';
  if (Date.parse(validTo) < Date.now()) warn(setting, `expired on ${validTo}: ${name}`);
  if (Date.parse(validFrom) > Date.now()) warn(setting, `not valid before ${validFrom}: ${name}`);
}
