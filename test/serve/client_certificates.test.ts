// Which names a certificate has, from Node's text for them. What becomes of a client is in tls.test.ts.

import { expect, test } from 'vitest';
import { alternativeNames } from '../../src/serve/client_certificates.ts';

test.each([
  [undefined, []],
  ['', []],
  ['DNS:a.example', ['a.example']],
  [
    'DNS:a.example, IP Address:192.0.2.7, email:me@a.example, URI:spiffe://a/b',
    ['a.example', '192.0.2.7', 'me@a.example', 'spiffe://a/b'],
  ],
  ['IP Address:2001:DB8:0:0:0:0:0:1', ['2001:db8::1']],
  ['IP Address:0:0:0:0:0:0:0:1', ['::1']],
  // A name with a comma is quoted by Node, so that it does not pass for two.
  ['DNS:"a, DNS:b.example", DNS:c', ['a, DNS:b.example', 'c']],
  ['URI:"x\\", DNS:b"', ['x", DNS:b']],
  ['DirName:"CN = a", DNS:c', ['c']],
  ['othername:<unsupported>, DNS:c', ['c']],
  ['DNS:a, what is this', ['a']],
])('%j has the names %j', (text, names) => {
  expect(alternativeNames(text)).toEqual(names);
});
