// Queries read by Prometheus' own grammar: what they ask for, and where they are no PromQL. Pure.

import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

export interface Selection {
  /** `rxscope_drops_total{reason!=""}`: without a range, an offset and the like. */
  readonly text: string;
  /** `rxscope_drops_total` */
  readonly metric: string;
  /** Labels that it selects by. */
  readonly matchers: readonly string[];
}

export interface PromqlFacts {
  /** Pieces that are no PromQL. */
  readonly errors: readonly string[];
  readonly selections: readonly Selection[];
  /** Labels that results are grouped by, joined on, or that a function reads. */
  readonly labels: readonly string[];
  /** Labels that label_replace and label_join make. */
  readonly made: readonly string[];
  /** Ranges in square brackets. */
  readonly ranges: readonly string[];
}

/** Grafana's variables must have got values before: `$` is no PromQL. */
export function promqlFacts(query: string): PromqlFacts {
  const errors: string[] = [];
  const selections: Selection[] = [];
  const labels: string[] = [];
  const made: string[] = [];
  const ranges: string[] = [];
  const text = (node: SyntaxNode): string => query.slice(node.from, node.to);
  parser.parse(query).iterate({
    enter: ({ type, node }) => {
      if (type.isError) errors.push(query.slice(Math.max(0, node.from - 30), node.to + 10));
      if (type.name === 'VectorSelector') {
        const matchers = all(node, 'LabelName').map(text);
        const metric = all(node, 'Identifier').map(text)[0] ?? '';
        selections.push({ text: text(node), metric, matchers });
      }
      if (type.name === 'GroupingLabels') labels.push(...all(node, 'LabelName').map(text));
      if (type.name === 'MatrixSelector') ranges.push(text(node).replace(/^[\s\S]*\[/, '['));
      if (type.name === 'FunctionCall') {
        const name = node.firstChild === null ? '' : text(node.firstChild);
        const strings = node.lastChild === null ? [] : direct(node.lastChild, 'StringLiteral');
        const [to = '', ...rest] = strings.map((one) => text(one).slice(1, -1));
        if (name === 'label_replace') {
          made.push(to);
          labels.push(...[rest[1] ?? ''].filter((label) => label !== ''));
        }
        if (name === 'label_join') {
          made.push(to);
          labels.push(...rest.slice(1));
        }
      }
    },
  });
  return { errors, selections, labels, made, ranges };
}

/** Nodes of a kind at any depth. */
function all(node: SyntaxNode, name: string): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  node.cursor().iterate((one) => {
    if (one.from >= node.from && one.to <= node.to && one.type.name === name) found.push(one.node);
  });
  return found;
}

/** Arguments of a kind. */
function direct(node: SyntaxNode, name: string): SyntaxNode[] {
  return node.getChildren(name);
}
