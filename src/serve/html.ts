// A template tag whose interpolations are escaped unless they are HTML of this tag themselves:
// forgetting to escape is impossible. No parser, no attribute without quotes, no script.

export interface Html {
  readonly markup: string;
}

type Interpolation = string | number | Html | readonly Html[];

export function html(strings: TemplateStringsArray, ...values: readonly Interpolation[]): Html {
  const markup = strings.reduce((text, part, i) => text + render(values[i - 1] ?? '') + part);
  return { markup };
}

/** Text that is HTML already. For constants of this program only. */
export function trusted(markup: string): Html {
  return { markup };
}

function render(value: Interpolation): string {
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return 'markup' in value ? value.markup : value.map((item) => item.markup).join('');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
