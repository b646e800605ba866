// Dashboards as pages to look at: each panel at its place in the grid, with the data that Grafana's library
// made of real answers. A sketch by this file, not Grafana's drawing: for the eye of whoever changes a
// dashboard. Pure: returns HTML.

import { type DisplayValue, type Field, shownAs } from './library.ts';
import { type Board, numbersOf, type Panel, type Shown, seriesOf, type Window } from './panels.ts';

/** Of a page: Grafana's 24 columns, and rows of 38 px as it has them. */
const COLUMN = 64;
const ROW = 38;
/** Headings, legends and axes take their part of a panel. */
const PLOT_LEFT = 62;

/** A time range, and outliers to draw in it, by the panel's id. */
export interface View extends Window {
  readonly dots: ReadonlyMap<
    number,
    readonly { readonly second: number; readonly value: number }[]
  >;
}

export function page(board: Board, shown: ReadonlyMap<number, Shown>, view: View): string {
  const { places, rows } = layout(board);
  const pieces = places.map(({ panel, top }) =>
    panel.type === 'row'
      ? `<div class="row" style="${place(panel.gridPos, top)}">▾ ${text(panel.title)}</div>`
      : box(panel, top, shown.get(panel.id), view),
  );
  return `<!doctype html><meta charset="utf-8"><title>${text(board.title)}</title>
<style>${STYLE}</style>
<h1>${text(board.title)}</h1>
<p>A sketch of the data, not Grafana’s drawing. Rows that Grafana shows folded are open here.</p>
<main style="height:${rows * ROW}px">${pieces.join('\n')}</main>`;
}

/** Width and height of the whole page, px. */
export function sizeOf(board: Board): { width: number; height: number } {
  return { width: 24 * COLUMN + 20, height: layout(board).rows * ROW + 80 };
}

/** Where each panel is, in rows from the top; what is folded up takes its room as if it were open. */
function layout({ panels }: Board): { places: { panel: Panel; top: number }[]; rows: number } {
  const places: { panel: Panel; top: number }[] = [];
  let rows = 0;
  const put = (all: readonly Panel[]): void => {
    const first = Math.min(...all.map(({ gridPos }) => gridPos.y));
    const start = rows;
    for (const panel of all) {
      const top = start + panel.gridPos.y - first;
      places.push({ panel, top });
      rows = Math.max(rows, top + panel.gridPos.h);
    }
  };
  const groups: Panel[][] = [];
  for (const panel of panels) {
    if (panel.type === 'row' || groups.length === 0) groups.push([]);
    groups.at(-1)?.push(panel);
    if (panel.panels.length > 0) groups.push([...panel.panels]);
  }
  for (const group of groups) put(group);
  return { places, rows };
}

const STYLE = `body{background:#111217;color:#ccccdc;font:12px Inter,'DejaVu Sans',sans-serif;margin:10px}
h1{font-size:18px;margin:0}p{margin:2px 0 6px;color:#8e8e9a}main{position:relative}
.row{position:absolute;font-weight:600;padding:8px 4px;box-sizing:border-box}
.panel{position:absolute;box-sizing:border-box;padding:3px}
.panel>div{background:#181b1f;border:1px solid #2a2d33;height:100%;box-sizing:border-box;overflow:hidden;padding:6px;position:relative}
h2{font-size:13px;margin:0 0 2px;font-weight:500;white-space:nowrap}.none{color:#8e8e9a;text-align:center;padding-top:30px}
.stat{font-size:34px;font-weight:600;text-align:center;padding-top:14px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:4px 6px;border-bottom:1px solid #2a2d33;white-space:nowrap}
th{color:#6e9fff;font-weight:500}td.n{text-align:right}.legend{font-size:11px;line-height:15px;overflow:hidden}
.legend i{display:inline-block;width:12px;height:3px;margin:0 4px 3px 8px}svg text{fill:#8e8e9a;font-size:10px}`;

function place({ x, w, h }: Panel['gridPos'], top: number): string {
  return `left:${x * COLUMN}px;top:${top * ROW}px;width:${w * COLUMN}px;height:${h * ROW}px`;
}

function box(panel: Panel, top: number, shown: Shown | undefined, view: View): string {
  const width = panel.gridPos.w * COLUMN - 20;
  const height = panel.gridPos.h * ROW - 40;
  const inside = shown === undefined ? nothing() : draw(shown, width, height, view);
  return `<div class="panel" style="${place(panel.gridPos, top)}"><div><h2>${text(panel.title)}</h2>${inside}</div></div>`;
}

function draw(shown: Shown, width: number, height: number, view: View): string {
  if (shown.frames.every(({ length }) => length === 0)) return nothing();
  if (shown.panel.type === 'stat') return stat(numbersOf(shown)[0]);
  if (shown.panel.type === 'table') return table(shown);
  if (shown.panel.type === 'heatmap') return heatmap(shown, width, height, view);
  if (shown.panel.type === 'status-history') return history(shown, width, height, view);
  if (shown.panel.type === 'barchart') return bars(shown, width, height);
  return lines(shown, width, height, view);
}

function nothing(): string {
  return '<div class="none">No data</div>';
}

function stat(value: DisplayValue | undefined): string {
  if (value === undefined) return nothing();
  const { prefix = '', text: shown, suffix = '', color = 'inherit' } = value;
  return `<div class="stat" style="color:${color}">${text(prefix + shown + suffix)}</div>`;
}

function table({ frames: [frame], panel }: Shown): string {
  if (frame === undefined) return nothing();
  const cell = (field: Field, row: number): string => {
    const value = field.values[row];
    const shown = field.display?.(value);
    const options = field.config.custom?.cellOptions as { type?: string } | undefined;
    const empty = value === null || value === undefined;
    const colour = empty ? 'inherit' : (shown?.color ?? 'inherit');
    const style =
      options?.type === 'color-background'
        ? `background:${colour};color:#111217`
        : options?.type === 'color-text'
          ? `color:${colour}`
          : '';
    return `<td class="${field.type === 'number' ? 'n' : ''}" style="${style}">${text(shownAs(field, value))}</td>`;
  };
  const heads = frame.fields.map(
    (field) => `<th>${text(String(field.state?.displayName ?? field.name))}</th>`,
  );
  const rows = Array.from(
    { length: Math.min(frame.length, panel.gridPos.h + 2) },
    (_, row) => `<tr>${frame.fields.map((field) => cell(field, row)).join('')}</tr>`,
  );
  return `<table><tr>${heads.join('')}</tr>${rows.join('')}</table>`;
}

function lines(shown: Shown, width: number, height: number, view: View): string {
  const all = seriesOf(shown);
  const { panel } = shown;
  const custom = panel.fieldConfig.defaults.custom ?? {};
  const logarithmic = (custom.scaleDistribution as { type?: string } | undefined)?.type === 'log';
  const stacked = (custom.stacking as { mode?: string } | undefined)?.mode === 'normal';
  const plot = { width: width - PLOT_LEFT, height: height - 50 };
  const floor = new Map<number, number>();
  const drawn = all.map(({ name, field, frame }) => {
    const times = (frame.fields[0]?.values ?? []) as number[];
    const points = times.flatMap((ms, at): [number, number][] => {
      const value = field.values[at];
      if (typeof value !== 'number' || Number.isNaN(value)) return [];
      const base = stacked ? (floor.get(ms) ?? 0) : 0;
      floor.set(ms, base + value);
      return [[ms / 1000, base + value]];
    });
    return { name, field, points };
  });
  const values = drawn.flatMap(({ points }) => points.map(([, value]) => value));
  const dots = (view.dots.get(shown.panel.id) ?? []).filter(({ second }) => second >= view.from);
  const top = Math.max(...values, ...dots.map(({ value }) => value), 1e-12);
  const low = Math.min(...values.filter((value) => value > 0), top);
  const up = (value: number): number =>
    plot.height *
    (1 -
      (logarithmic
        ? Math.log(Math.max(value, low) / low) / Math.max(Math.log(top / low), 1e-9)
        : value / top));
  const across = (second: number): number =>
    PLOT_LEFT + (plot.width * (second - view.from)) / (view.to - view.from);
  const curves = drawn.map(({ field, points }) => {
    const dash = (field.config.custom?.lineStyle as { fill?: string } | undefined)?.fill === 'dash';
    const path = points.map(
      ([second, value]) => `${across(second).toFixed(1)},${up(value).toFixed(1)}`,
    );
    return `<polyline fill="none" stroke="${colourOf(field)}" stroke-width="1.3" ${dash ? 'stroke-dasharray="8 6"' : ''} points="${path.join(' ')}"/>`;
  });
  const circles = dots.map(
    ({ second, value }) =>
      `<circle cx="${across(second).toFixed(1)}" cy="${up(value).toFixed(1)}" r="2.5" fill="none" stroke="#f2cc0c"/>`,
  );
  const [first] = all;
  const ticks =
    first === undefined
      ? []
      : [0, 1, 2, 3].map((at) => {
          const value = logarithmic ? low * (top / low) ** (at / 3) : (top * at) / 3;
          return `<text x="${PLOT_LEFT - 5}" y="${up(value) + 4}" text-anchor="end">${text(shownAs(first.field, value))}</text><line x1="${PLOT_LEFT}" x2="${width}" y1="${up(value)}" y2="${up(value)}" stroke="#2a2d33"/>`;
        });
  const legend = drawn.map(
    ({ name, field }) => `<i style="background:${colourOf(field)}"></i>${text(name)}`,
  );
  return `<svg width="${width}" height="${plot.height + 8}">${ticks.join('')}${curves.join('')}${circles.join('')}</svg><div class="legend">${legend.join('')}</div>`;
}

function colourOf(field: Field): string {
  const colour = field.config.color;
  const named: Readonly<Record<string, string>> = { red: '#f2495c', transparent: 'none' };
  if (colour?.mode === 'fixed') return named[colour.fixedColor ?? ''] ?? '#73bf69';
  return field.display?.(field.values[0]).color ?? '#73bf69';
}

/** Rows of a heatmap from below, each with a number for each moment. */
interface Heat {
  readonly name: string;
  readonly cells: readonly { readonly second: number; readonly value: number }[];
}

function heatmap(shown: Shown, width: number, height: number, view: View): string {
  const native = shown.frames.find(({ meta }) => meta?.type === 'heatmap-cells');
  const rows = (native === undefined ? plainRows(shown) : nativeRows(native.fields)).filter(
    ({ cells }) => cells.some(({ value }) => value > 0),
  );
  const { yAxis, color } = shown.panel.options as {
    yAxis?: { axisLabel?: string };
    color?: { max?: number };
  };
  const dots = view.dots.get(shown.panel.id) ?? [];
  const note = dots.length > 0 ? `<div class="legend">${dots.length} outliers as dots</div>` : '';
  return cellsOf(rows, width, height, view, { label: yAxis?.axisLabel, max: color?.max }) + note;
}

function plainRows(shown: Shown): Heat[] {
  return seriesOf(shown).map(({ name, field, frame }) => ({
    name,
    cells: ((frame.fields[0]?.values ?? []) as number[]).map((ms, at) => ({
      second: ms / 1000,
      value: Number(field.values[at] ?? 0),
    })),
  }));
}

function nativeRows([times, low, high, count]: readonly Field[]): Heat[] {
  const rows = new Map<number, { name: string; cells: { second: number; value: number }[] }>();
  for (const [at, ms] of ((times?.values ?? []) as number[]).entries()) {
    const bound = Number(high?.values[at]);
    const row = rows.get(bound) ?? {
      name: low === undefined ? '' : shownAs({ ...low, ...{ config: { unit: 's' } } }, bound),
      cells: [],
    };
    row.cells.push({ second: ms / 1000, value: Number(count?.values[at]) });
    rows.set(bound, row);
  }
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
}

function history(shown: Shown, width: number, height: number, view: View): string {
  return cellsOf(plainRows(shown), width, height, view, { left: 200 });
}

function cellsOf(
  rows: readonly Heat[],
  width: number,
  height: number,
  { from, to, step }: View,
  {
    label = '',
    left = PLOT_LEFT,
    max,
  }: { label?: string | undefined; left?: number; max?: number | undefined },
): string {
  if (rows.length === 0) return nothing();
  const seen = rows.flatMap(({ cells }) => cells.map(({ value }) => value));
  const top = max ?? Math.max(...seen, 1e-12);
  const tall = (height - 22) / rows.length;
  const wide = ((width - left) * step) / (to - from);
  const every = Math.ceil(rows.length / 10);
  const drawn = rows.map(({ name, cells }, index) => {
    const y = (rows.length - 1 - index) * tall;
    const boxes = cells.map(
      ({ second, value }) =>
        `<rect x="${(left + ((width - left) * (second - from)) / (to - from) - wide).toFixed(1)}" y="${y.toFixed(1)}" width="${(wide + 0.3).toFixed(1)}" height="${(tall + 0.3).toFixed(1)}" fill="${heatColour(value / top)}"/>`,
    );
    const title =
      index % every === 0
        ? `<text x="${left - 5}" y="${y + tall / 2 + 4}" text-anchor="end">${text(`${label} ${name}`.trim())}</text>`
        : '';
    return title + boxes.join('');
  });
  return `<svg width="${width}" height="${height - 20}">${drawn.join('')}</svg>`;
}

/** Dark blue to yellow, brighter by the root of the share, as the panel's scale is. */
function heatColour(share: number): string {
  if (share <= 0) return 'none';
  const bright = Math.sqrt(share);
  return `hsl(${Math.round(260 - 210 * bright)} 85% ${Math.round(25 + 30 * bright)}%)`;
}

function bars(shown: Shown, width: number, height: number): string {
  const [frame] = shown.frames;
  const [names, begins, takes] = frame?.fields ?? [];
  if (frame === undefined || names === undefined || takes === undefined) return nothing();
  const number = (field: Field | undefined, at: number): number => Number(field?.values[at]) || 0;
  const ends = names.values.map((_, at) => number(begins, at) + number(takes, at));
  const left = 150;
  const scale = (width - left - 70) / Math.max(...ends, 1e-12);
  const tall = (height - 10) / names.values.length;
  const drawn = names.values.map((name, at) => {
    const x = left + number(begins, at) * scale;
    const y = at * tall;
    return `<text x="${left - 6}" y="${y + tall / 2 + 4}" text-anchor="end">${text(String(name))}</text>
<rect x="${x}" y="${y + tall * 0.1}" width="${Math.max(1, number(takes, at) * scale)}" height="${tall * 0.8}" fill="${colourOf(takes)}"/>
<text x="${x + number(takes, at) * scale + 5}" y="${y + tall / 2 + 4}">${text(shownAs(takes, takes.values[at]))}</text>`;
  });
  return `<svg width="${width}" height="${height}">${drawn.join('')}</svg>`;
}

function text(raw: string): string {
  return raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
