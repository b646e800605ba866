// Links between the project's own pages: each leads to a file that is there, and to a heading of it.

import { dirname, posix } from 'node:path';
import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

const files = new Set(projectFiles());
const pages = [...files].filter((file) => file.endsWith('.md'));

/** The part of a page that is prose: what stands in a code block is no heading and no link. */
function proseOf(page: string): string {
  return textOf(page).replace(/^```[\s\S]*?^```$/gm, '');
}

/** As the usual renderers make them of headings. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Why a link of a page leads nowhere; undefined when it does lead somewhere. */
function fault(page: string, link: string): string | undefined {
  if (/^https?:/.test(link)) return undefined;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : posix.join(dirname(page), path);
  if (!files.has(target)) return `${page}: ${link}: there is no ${target}`;
  if (anchor === undefined || anchorsOf(target).includes(anchor)) return undefined;
  return `${page}: ${link}: ${target} has no such heading`;
}

test('each link leads to a page and a heading that are there', () => {
  const links = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => ({ page, link })),
  );
  expect(links.length).toBeGreaterThan(10);
  expect(links.flatMap(({ page, link }) => fault(page, link) ?? [])).toEqual([]);
});

test('every page of docs/ is found from the README', () => {
  const docs = pages.filter((page) => page.startsWith('docs/'));
  expect(docs.length).toBeGreaterThan(0);
  const lost = docs.filter((page) => !proseOf('README.md').includes(`](${page}`));
  expect(lost, 'link to it in README.md').toEqual([]);
});

test('a link that leads nowhere is found', () => {
  expect(fault('README.md', 'grafana/README.md#alerts')).toBeUndefined();
  expect(fault('README.md', '#no-such-heading')).toMatch(/README\.md has no such heading$/);
  expect(fault('grafana/README.md', 'nowhere.md')).toMatch(/there is no grafana\/nowhere\.md$/);
});
