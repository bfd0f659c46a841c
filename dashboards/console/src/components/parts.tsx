import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { dateTime, time } from '../format';
import { setQuery } from '../router';

export type Tone = 'bad' | 'slow' | 'good' | 'plain' | 'accent';

/** Badge is a word in a box. The word alone says it: the color only helps to find it. */
export function Badge({ tone = 'plain', title, children }: { tone?: Tone; title?: string; children: ComponentChildren }) {
  return <span class={`badge ${tone}`} title={title}>{children}</span>;
}

/** Time is in UTC; hovering shows the date, and the time where the reader is. */
export function Time({ at, ms }: { at: string | undefined; ms?: boolean }) {
  const t = time(at, ms);
  if (!at || t === '–') return <>–</>;
  return <time dateTime={at} title={`${dateTime(at)}, here ${new Date(at).toLocaleString()}`}>{t}</time>;
}

/** useNow is the time in ms, which moves on every so many ms. */
export function useNow(every = 1000): number {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** Bar is a share of 1 as a bar. */
export function Bar({ share, tone = 'bad' }: { share: number; tone?: Tone }) {
  const width = Math.max(0, Math.min(1, share)) * 100;
  return <svg class={`bar ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="8" /><rect class="part" width={Math.max(width, share > 0 ? 1 : 0)} height="8" /></svg>;
}

/** Sparkline draws numbers, the oldest first. label says what it shows in words. */
export function Sparkline({ values, label, tone = 'bad' }: { values: (number | null)[]; label: string; tone?: Tone }) {
  const top = Math.max(...values.map((v) => v ?? 0), 0);
  const step = 100 / Math.max(values.length, 1);
  return (
    <svg class={`spark ${tone}`} viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <line x1="0" y1="23.5" x2="100" y2="23.5" />
      {values.map((v, i) => v ? <rect key={i} x={(i * step).toFixed(2)} width={(step * 0.8).toFixed(2)} y={(24 - Math.max(v / top * 24, 1.5)).toFixed(2)} height={Math.max(v / top * 24, 1.5).toFixed(2)} /> : null)}
    </svg>
  );
}

/** Choice is a row of which one is chosen, kept in the query of the address. */
export function Choice({ label, name, value, options }: { label: string; name: string; value: string; options: string[] | [string, string][] }) {
  const all = options.map((o): [string, string] => typeof o === 'string' ? [o, o] : o);
  return (
    <fieldset class="choice">
      <legend class="sr">{label}</legend>
      {all.map(([v, text]) => (
        <label key={v} class={v === value ? 'on' : ''}>
          <input type="radio" name={name} value={v} checked={v === value} onChange={() => setQuery({ [name]: v })} />{text}
        </label>
      ))}
    </fieldset>
  );
}

/** Search is a field that filters what is below it. */
export function Search({ label, value, set }: { label: string; value: string; set: (text: string) => void }) {
  return <input class="search" type="search" aria-label={label} placeholder={label} value={value} autocomplete="off" spellcheck={false}
    onInput={(e) => set(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Escape') set(''); }} />;
}

/** Copy is a button that puts a text on the clipboard. */
export function Copy({ text, children = 'Copy' }: { text: string; children?: ComponentChildren }) {
  const [done, set] = useState('');
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => set(''), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => copyText(text).then(() => set('Copied'), () => set('Not copied'));
  return <button type="button" class="quiet" onClick={copy}><span aria-live="polite">{done || children}</span></button>;
}

/** copyText also works over plain HTTP, where browsers have no clipboard for pages. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('not copied');
}
