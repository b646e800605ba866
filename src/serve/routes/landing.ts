// GET /: what this agent is, where its endpoints are, which probes are up and why not. One HTML
// page that works offline: no script, no external resource, and a policy that allows neither.

import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { type Html, html, trusted } from '../html.ts';
import { PATHS } from '../paths.ts';
import type { ProbeSummary, ServeSource } from '../source.ts';

export function landingRoute(source: ServeSource) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/', async (_request, reply) =>
      reply
        .header('content-type', 'text/html; charset=utf-8')
        .header('content-security-policy', CONTENT_SECURITY_POLICY)
        .header('referrer-policy', 'no-referrer')
        .send(page(source).markup),
    );
  };
}

function page(source: ServeSource): Html {
  const probes = source.probes();
  const up = probes.filter((probe) => probe.up).length;
  const wanted = probes.filter(({ off }) => off !== true).length;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>rxscope</title>
<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>rxscope</h1>
<p>Shows where a received packet&rsquo;s time goes inside this host&rsquo;s Linux kernel.</p>
<p class="quiet">Version ${source.version} &middot; ${source.ready() ? 'ready' : 'not ready'}</p>
</header>
<section aria-labelledby="probes">
<h2 id="probes">Probes <span class="quiet">${up} of ${wanted} up</span></h2>
${probes.length === 0 ? html`<p>No probe is switched on.</p>` : probeTable(probes)}
</section>
<nav aria-labelledby="endpoints">
<h2 id="endpoints">Endpoints</h2>
<ul>
${PATHS.filter(({ path }) => path !== '/').map(
  ({ path, what }) => html`<li><a href="${path}">${path}</a><span>${what}</span></li>\n`,
)}</ul>
</nav>
<section aria-labelledby="beyond">
<h2 id="beyond">Dashboards and alerts</h2>
<p><code>rxscope dashboards --out DIR</code> writes dashboards for Grafana;
<code>rxscope rules --out DIR</code> writes alerts for Prometheus, with a runbook.</p>
</section>
</main>
</body>
</html>
`;
}

function probeTable(probes: readonly ProbeSummary[]): Html {
  return html`<div class="scroll" role="region" aria-labelledby="probes" tabindex="0">
<table>
<thead><tr><th scope="col">Probe</th><th scope="col">State</th><th scope="col">Reason</th></tr></thead>
<tbody>
${probes.map(
  ({ id, up, off, reason }) =>
    html`<tr><th scope="row">${id}</th>${stateCell(up, off)}<td>${reason}</td></tr>\n`,
)}</tbody>
</table>
</div>`;
}

function stateCell(up: boolean, off: true | undefined): Html {
  if (off) return html`<td class="quiet">off</td>`;
  return html`<td class="${up ? 'up' : 'down'}">${up ? 'up' : 'not up'}</td>`;
}

// Colours are pairs of a text and its background with a contrast of at least 4.5 : 1 in both schemes.
const STYLE = `
:root {
  color-scheme: light dark;
  --back: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de;
  --link: #0550ae; --up: #116329; --down: #a40e26;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --text: #e6edf3; --quiet: #9198a1; --line: #30363d;
    --link: #79c0ff; --up: #56d364; --down: #ff938a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2.5rem 1.25rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.15rem; }
h2 .quiet { margin-left: .5rem; font-size: .9rem; font-weight: normal; }
header p { margin: .5rem 0 0; }
.quiet { color: var(--quiet); }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; text-align: left; }
th, td { padding: .5rem 1.25rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--quiet); font-size: .875rem; font-weight: 600; }
tbody th, li a { font: .9rem/1.65 ui-monospace, monospace; white-space: nowrap; }
code { font: .9rem/1.65 ui-monospace, monospace; }
td:last-child { width: 100%; min-width: 11rem; padding-right: 0; overflow-wrap: anywhere; }
td.up, td.down { font-weight: 600; white-space: nowrap; }
td.up { color: var(--up); }
td.down { color: var(--down); }
td.up::before { content: "● "; }
td.down::before { content: "○ "; }
ul { margin: 0; padding: 0; list-style: none; }
li { display: flex; flex-wrap: wrap; gap: 0 1.25rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
li a { flex: 0 0 11rem; }
li span { flex: 1 1 16rem; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
`;

// Only this very style sheet, and the empty icon that keeps browsers from asking for one.
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
