// HTML as text, for a file that has to stand alone. A value that is put into html`...` is
// escaped, whatever it holds: names, paths and reasons come from the network.

export class Html { constructor(readonly text: string) {} }

type Value = string | number | Html | undefined | false | Value[];

export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.reduce((all, part, i) => all + write(values[i - 1]) + part));
}

function write(v: Value): string {
  if (v === undefined || v === false) return '';
  if (v instanceof Html) return v.text;
  return Array.isArray(v) ? v.map(write).join('') : escape(String(v));
}

const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/**
 * escape makes a text safe in content and in quoted attributes. What is no character of a
 * document, or turns the direction of the text around it, is replaced.
 */
export function escape(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd')
    .replace(/[&<>"']/g, (c) => names[c]!);
}
