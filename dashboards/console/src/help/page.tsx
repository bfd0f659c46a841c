import './help.css';
import { get } from '../api';
import { ShortcutList } from '../components/keys';
import { Search } from '../components/parts';
import { Empty, State } from '../components/states';
import { plural } from '../format';
import { usePoll } from '../poll';
import { setQuery } from '../router';
import type { PageProps } from '../routes';
import type { Word } from '../types';
import { found, pieces } from './view';

/** Help explains the words of the proxy, and the keys of the console. */
export default function Help({ query }: PageProps) {
  const search = query.get('q') ?? '';
  const words = usePoll('words', 0, async (signal) => {
    const answer = await get<Word[] | { words: Word[] }>('/v1/words', {}, signal);
    return Array.isArray(answer) ? answer : answer.words;
  });
  return (
    <div class="help">
      <div class="head"><h1>Help</h1><Search label="Search: UF, timeout, certificate…" value={search} set={(q) => setQuery({ q })} /></div>
      {!search && <section><h2>Keys</h2><ShortcutList /></section>}
      <State of={words}>{(all) => {
        const groups = found(all, search);
        const n = groups.reduce((sum, g) => sum + g.words.length, 0);
        return (
          <>
            {search && <p class="faint" role="status">{plural(n, 'word')} found</p>}
            {groups.length === 0 && <Empty>No word fits “{search}”.</Empty>}
            {groups.map((g) => (
              <section key={g.kind}>
                <h2>{g.title}</h2>
                {g.text && <p class="faint">{g.text}</p>}
                <dl class="words">{g.words.map((w) => <Entry key={w.name} word={w} />)}</dl>
              </section>
            ))}
          </>
        );
      }}</State>
    </div>
  );
}

function Entry({ word: w }: { word: Word }) {
  return (
    <div>
      <dt><code>{w.name}</code></dt>
      <dd>
        {w.title && <p class="title"><Marked text={w.title} /></p>}
        <Sentences title="Usual causes" all={w.causes} whole={w.text === w.title ? '' : w.text} />
        <Sentences title="Look at" all={w.next} whole={w.remedy} />
      </dd>
    </div>
  );
}

/** Sentences is a list if it has several parts, else the text as a whole. */
function Sentences({ title, all, whole }: { title: string; all?: string[]; whole: string }) {
  if (all && all.length > 1) return <><p class="sub">{title}</p><ul>{all.map((s) => <li key={s}><Marked text={s} /></li>)}</ul></>;
  return whole ? <p>{(all?.length || title === 'Look at') && <span class="sub">{title}: </span>}<Marked text={whole} /></p> : null;
}

function Marked({ text }: { text: string }) {
  return <>{pieces(text).map((p, i) => p.code ? <code key={i}>{p.text}</code> : p.text)}</>;
}
