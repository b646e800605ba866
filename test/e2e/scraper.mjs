// A scraper as they all are, for doors.test.ts: again and again it opens a connection, asks for the metrics,
// gzipped, and reads them. After each it writes a line of JSON: the status, or 0, and how long it took.

import { request } from 'node:http';
import { request as requestTls } from 'node:https';

const { port, tls = false, authorization } = JSON.parse(process.argv[2] ?? '{}');
const headers = {
  'accept-encoding': 'gzip',
  ...(authorization === undefined ? {} : { authorization }),
};
const options = { port, host: '127.0.0.1', path: '/metrics', headers, rejectUnauthorized: false };

function scrape() {
  const startMs = performance.now();
  let told = false;
  const tell = (status) => {
    if (told) return;
    told = true;
    process.stdout.write(`${JSON.stringify({ status, ms: performance.now() - startMs })}\n`);
    setTimeout(scrape, 100);
  };
  const asked = (tls ? requestTls : request)({ ...options, agent: false }, (response) => {
    response.on('data', () => {});
    response.on('end', () => tell(response.statusCode));
    response.on('close', () => tell(0));
  });
  asked.on('error', () => tell(0));
  asked.end();
}

scrape();
