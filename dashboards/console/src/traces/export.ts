// A trace as one HTML file: no script, nothing that is loaded, and it opens from a disk.

import { bytes, dateTime, duration } from '../format';
import { sentence } from '../components/states';
import { curl } from './curl';
import { inbound, type Trace } from './hop';
import { Html, html } from './html';
import { end, type Tree } from './tree';
import { missing, verdict } from './verdict';
import { ownTime, ownTimes, type Part, parts, partText, type Row, rows, sureText, takes, ticks } from './waterfall';

// The file has no server to send a policy: it brings its own, which allows its style and nothing else.
const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const css = `
:root { color-scheme: light dark; --bg: #fff; --text: #1b1e23; --faint: #5d636b; --line: #dcdcd7; --bad: #b3261e; --bad-bg: #fcebe9; --bad-mark: #d04a41; --slow: #7d5200; --slow-bg: #fdf2d8; --slow-mark: #d09a2c; --good: #2a6e40; --good-bg: #e6f3e9; --mark: #7d9cc4; --light: #c9d6e8; --own: #1a5fb4 }
@media (prefers-color-scheme: dark) { :root { --bg: #16181b; --text: #e3e5e8; --faint: #9aa0a8; --line: #33383e; --bad: #ff8f86; --bad-bg: #3a2020; --bad-mark: #d6564d; --slow: #eebd5c; --slow-bg: #352a14; --slow-mark: #b8862a; --good: #7fcc97; --good-bg: #18301f; --mark: #5f83b3; --light: #35465f; --own: #86b6f5 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--bg); color: var(--text); font: 14px/1.5 system-ui, sans-serif }
h1 { font-size: 1.15rem; margin: 0 0 .2rem; overflow-wrap: anywhere } h2 { font-size: 1rem; margin: 1.8rem 0 .5rem }
p { margin: 0 0 .3rem } ul { margin: .3rem 0; padding-left: 1.2rem } li, p, td, dd { overflow-wrap: anywhere }
.faint { color: var(--faint) } .mono, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .88em }
.verdict { margin: 1rem 0; padding: .8rem 1rem; border-left: 4px solid var(--line); border-radius: 6px }
.verdict.bad { background: var(--bad-bg); border-color: var(--bad-mark) } .verdict.slow { background: var(--slow-bg); border-color: var(--slow-mark) } .verdict.good { background: var(--good-bg); border-color: var(--good) }
.verdict, .verdict.bad, .verdict.slow { color: var(--text) } .verdict strong { font-size: 1.05rem } .bad { color: var(--bad) } .slow { color: var(--slow) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-top: 1px solid var(--line) } thead th { border: 0; padding-right: .6rem; color: var(--faint); font-weight: 500; white-space: nowrap }
td.num, th.num { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums } td.name { min-width: 13rem } td.bars { width: 45%; min-width: 14rem; padding-right: 0 }
tr.fault { background: var(--bad-bg) } .tag { font-size: .8em; color: var(--faint); border: 1px dashed var(--faint); border-radius: 3px; padding: 0 .25rem; white-space: nowrap }
svg { display: block; width: 100%; height: 16px } .proxy { fill: var(--light) } .connect { fill: var(--own) } .wait { fill: var(--mark) } .receive { fill: var(--mark); opacity: .6 } .fault .wait, .fault .connect { fill: var(--bad-mark) } .own { fill: var(--text) } .guess { fill: none; stroke: var(--mark); stroke-dasharray: 4 3; vector-effect: non-scaling-stroke }
svg.sw { display: inline-block; width: .8rem; height: .6rem; margin-right: .35rem } .key { margin-right: 1rem; white-space: nowrap } .scale { display: flex; justify-content: space-between } details { border-top: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer } dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0 } dt { color: var(--faint) } dd { margin: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0 } footer { margin-top: 2rem; color: var(--faint) } @media print { tr { break-inside: avoid } }`;

/** fileName has only characters that every system takes. */
export const fileName = (t: Trace, ending: string) => `trace-${t.trace_id.replace(/[^0-9a-zA-Z]/g, '').slice(0, 32) || 'unknown'}.${ending}`;

/** page is the whole file. saved is when it was made. */
export function page(t: Trace, tree: Tree, saved: Date): string {
  const v = verdict(t, tree);
  const root = tree.roots[0];
  const all = rows(tree, t);
  const gaps = [...missing(t, tree), ...t.notes, ...t.peers.filter((p) => p.error).map((p) => `${p.service || p.address} did not answer: ${p.error}`)];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Trace ${t.trace_id}: ${v.sentence}</title>
<style>${new Html(css)}</style>
</head>
<body>
<h1>${root ? `${root.hop.method ?? ''} ${root.hop.host ?? ''}${root.hop.path ?? ''}` : 'A trace'}</h1>
<p class="faint">Trace <span class="mono">${t.trace_id}</span>${root && html`, ${dateTime(root.hop.start)}, ${duration(root.duration)}, ${tree.hops} hops`}</p>
<div class="verdict ${v.tone}">
<p><strong>${v.sentence}${v.flags.length > 0 && ` (${v.flags.join(', ')})`}</strong></p>
${[...v.more, ...v.doubts].map((m) => html`<p>${sentence(m)}</p>`)}
${v.evidence.length > 0 && html`<ul>${v.evidence.map((e) => html`<li>${sentence(e)}</li>`)}</ul>`}
</div>
${gaps.length > 0 && html`<h2>What is missing</h2><ul>${gaps.map((g) => html`<li>${sentence(g)}</li>`)}</ul>`}
${root && html`<h2>Waterfall</h2>
<div class="wide"><table>
<thead><tr><th>Hop</th><th>Request</th><th class="num">Status</th><th class="num">Took</th><th><span class="scale">${ticks(tree.until, 5).map((x) => html`<span>${duration(x)}</span>`)}</span></th></tr></thead>
<tbody>${all.map((r) => line(r, tree.until))}</tbody>
</table></div>
<p class="faint">${Object.entries(partText).map(([kind, text]) => html`<span class="key"><svg class="sw" viewBox="0 0 10 10" aria-hidden="true"><rect class="${kind}" width="10" height="10"/></svg>${text}</span> `)}The line below a bar is the critical path: what the request waited for. What is dashed is inferred.</p>
<h2>Each hop</h2>
${all.map((r) => detail(r))}
<h2>The request again</h2>
<pre>${curl(root.hop)}</pre>`}
<footer>Saved ${dateTime(saved)} from the hopscope console. Times are UTC. Where clocks disagree, hops were moved so that they lie within their calls.</footer>
</body>
</html>
`.text;
}

function line(r: Row, until: number): Html {
  const indent = new Html('\u2003'.repeat(Math.min(r.level - 1, 12)));
  return html`<tr${r.note?.culprit && r.note.tone === 'bad' && new Html(' class="fault"')}><td class="name">${indent}${r.name}${r.sure !== 'known' && html` <span class="tag">${r.sure === 'apart' ? 'no caller' : 'inferred'}</span>`}${r.note && html`<br>${indent}<span class="${r.note.tone}">${r.note.text}</span>`}</td>
<td>${r.request}</td><td class="num${r.failed && ' bad'}">${r.status}</td><td class="num">${duration(r.node.duration)}</td><td class="bars">${bar(r, until)}</td></tr>`;
}

function bar(r: Row, until: number): Html {
  const x = (at: number) => (Math.min(Math.max(at / Math.max(until, 1), 0), 1) * 1000).toFixed(1);
  const width = (from: number, to: number) => Math.max((to - from) / Math.max(until, 1) * 1000, 1.5).toFixed(1);
  const guess = r.sure !== 'known';
  return html`<svg viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label="from ${duration(r.node.start)} to ${duration(end(r.node))}">${
    guess ? html`<rect class="guess" x="${x(r.node.start)}" y="2" width="${width(r.node.start, end(r.node))}" height="9"/>`
      : parts(r).map((p: Part) => html`<rect class="${p.kind}" x="${x(p.from)}" y="2" width="${width(p.from, p.to)}" height="9"/>`)
  }${ownTimes(r).map(([from, to]) => html`<rect class="own" x="${x(from)}" y="13" width="${width(from, to)}" height="2"/>`)}</svg>`;
}

function detail(r: Row): Html {
  const h = r.node.hop, a = takes(r);
  const facts: [string, string | undefined | false][] = [
    ['Starts', `${duration(r.node.start)} after the trace, at ${h.start}`],
    ['Of its own', ownTime(r) > 0 && `${duration(ownTime(r))} on the critical path`],
    ['How sure', sureText[r.sure]],
    ['Both ends', r.ends?.text],
    ['Other end', r.alone && 'only the caller’s end is there'],
    ['Route', [h.route, h.cluster && `cluster ${h.cluster}`, h.listener && `listener ${h.listener}`].filter(Boolean).join(', ')],
    ['Endpoint', a && `${a.endpoint}, ${a.reused ? 'connection from the pool' : 'new connection'}${a.cold ? ', the first request since it came up' : ''}`],
    ['Flags', (r.node.attempt ? a?.flags : h.flags)],
    ['Reason', a?.reason || h.failure?.reason],
    ['Evidence', a?.evidence],
    ['Bytes', r.node.attempt ? a && `${bytes(a.bytes_sent)} sent, ${bytes(a.bytes_received)} received` : `${bytes(h.bytes_in)} in, ${bytes(h.bytes_out)} out`],
    ['Span', r.node.attempt ? a?.span_id : h.span_id],
    ['Peer', inbound(h) && !r.node.attempt && h.peer],
  ];
  return html`<details><summary>${r.name} <span class="faint">${r.request}</span> ${r.status} in ${duration(r.node.duration)}</summary><dl>${
    facts.filter(([, text]) => text).map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl></details>`;
}
