// What the page of help shows: the words of the proxy, by kind. All pure.

import type { Word } from '../types';

/** kinds has the headings, in their order. */
export const kinds: [kind: string, title: string, text: string][] = [
  ['flag', 'Response flags', 'How a request ended, in a log, a trace and a metric.'],
  ['kind', 'Kinds of failure', 'What exactly happened: finer than a flag.'],
  ['term', 'Other words of a verdict', 'Failures that no proxy made.'],
  ['event', 'Events', 'What happens to a proxy.'],
  ['error_type', 'Error types of RFC 9209', 'What the field Proxy-Status of a response says.'],
];

/** found are the words that fit a search, by kind. A word whose name is what was typed comes first. */
export function found(all: Word[], search: string): { kind: string; title: string; text: string; words: Word[] }[] {
  const wanted = search.trim().toLowerCase();
  const fits = (w: Word) => !wanted || wanted.split(/\s+/).every((part) => `${w.name} ${w.title} ${w.text} ${w.remedy}`.toLowerCase().includes(part));
  const known = new Map(kinds.map(([kind, title, text]) => [kind, { kind, title, text, words: [] as Word[] }]));
  for (const w of all) {
    if (!fits(w)) continue;
    let group = known.get(w.kind);
    if (!group) known.set(w.kind, group = { kind: w.kind, title: w.kind[0]?.toUpperCase() + w.kind.slice(1), text: '', words: [] });
    group.words.push(w);
  }
  const exact = (w: Word) => Number(w.name.toLowerCase() === wanted);
  return [...known.values()].filter((g) => g.words.length > 0).map((g) => ({ ...g, words: [...g.words].sort((a, b) => exact(b) - exact(a)) }));
}

export interface Piece { text: string; code: boolean }

/** pieces splits a sentence at its marks of Markdown: `code` is apart, of a [link](target) the label stays. */
export function pieces(text: string): Piece[] {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').split('`').map((part, i) => ({ text: part, code: i % 2 === 1 })).filter((p) => p.text);
}
