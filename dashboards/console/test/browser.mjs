// Drives the console as a person would, in a real Chromium, on a hopscope demo that runs:
//
//   node test/browser.mjs http://127.0.0.1:9901/                    # the test
//   node test/browser.mjs http://127.0.0.1:9901/ --steps threeClicks,keyboard  # some of its steps, as on make stack
//   node test/browser.mjs http://127.0.0.1:9901/ --pictures FOLDER  # the pictures of the docs instead
//
// CHROMIUM is the browser, default /usr/bin/chromium. The exit code is 1 if something is wrong.
// Nothing here depends on time: each step waits for what it needs, longer than a busy machine takes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const patience = 120_000; // ms
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const [address, flag, value] = process.argv.slice(2);
const { origin } = new URL(address);

const wide = { width: 1440, height: 900 }, narrow = { width: 360, height: 780 };
const bank = 'payments → bank'; // the edge of the demo that fails

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  timeout: patience,
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--no-proxy-server', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});
try {
  if (flag === '--pictures') await pictures(value);
  else await test();
} finally {
  await browser.close();
}

async function test() {
  const steps = { threeClicks, keyboard, filters, compare, download, narrowScreen, everyPage };
  const names = flag === '--steps' ? value.split(',') : Object.keys(steps);
  for (const name of names) {
    const step = steps[name];
    assert.ok(step, `there is no step ${name}`);
    console.log(name);
    await alone(step);
  }
}

/** alone runs a step in a browser that knows nothing of the others. The page may not complain, nor ask anybody else. */
async function alone(step, options = {}) {
  const context = await browser.newContext({ viewport: wide, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(patience);
  const wrong = [];
  context.on('request', (r) => { if (new URL(r.url()).origin !== origin) wrong.push(`asks elsewhere: ${r.url()}`); });
  context.on('console', (m) => { if (m.type() === 'error' && !/status of 50[234]/.test(m.text())) wrong.push(`console: ${m.text()} (${m.location().url})`); });
  await context.addInitScript(askAgain);
  context.on('weberror', (e) => wrong.push(`script: ${e.error().stack}`));
  const page = await context.newPage();
  try {
    await step(page, wrong);
  } catch (e) {
    console.error(`At ${page.url()}:\n${await page.locator('body').innerText({ timeout: 10_000 }).catch(String)}\n${wrong.join('\n')}`);
    throw e;
  } finally {
    await context.close();
  }
  if (wrong.length > 0) throw new Error(`${step.name || 'the page'}:\n${[...new Set(wrong)].join('\n')}`);
}

/** askAgain runs in the page. Proxies of a busy machine may answer too late: the page says so, and a person asks again. */
function askAgain() {
  setInterval(() => {
    const button = document.querySelector('.error button');
    if (button) button.click();
    else if (document.querySelector('.missing details')) dispatchEvent(new KeyboardEvent('keydown', { key: 'r' }));
  }, 2000);
}

// --- What a person does ---

async function threeClicks(page) {
  await page.goto(address);
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  assert.equal(new URL(page.url()).hash, '#/now');
  let clicks = 0;
  const click = async (what) => { await what.click(); clicks++; };
  await click(culprit(page).getByRole('link', { name: 'Show a failed request' }));
  await page.getByRole('treegrid', { name: 'Waterfall' }).getByRole('row', { selected: true }).filter({ hasText: bank }).waitFor();
  await click(page.getByRole('complementary', { name: 'The chosen hop' }).getByRole('link', { name: 'Everything recorded' }));
  await isFailingHop(page);
  assert.ok(clicks <= 3, `${clicks} clicks`);
}

async function keyboard(page) {
  await page.goto(address);
  await culprit(page).waitFor();
  await tabTo(page, 'a', 'Show a failed request');
  await page.keyboard.press('Enter');
  const row = page.getByRole('treegrid', { name: 'Waterfall' }).getByRole('row', { selected: true });
  await row.filter({ hasText: bank }).waitFor();
  await tabTo(page, '[role=row]', bank);
  await page.keyboard.press('ArrowUp');
  await row.filter({ hasNotText: bank }).waitFor();
  await page.keyboard.press('ArrowDown');
  await row.filter({ hasText: bank }).waitFor();
  await tabTo(page, '[role=row]', bank, 0);
  await page.keyboard.press('Enter');
  await isFailingHop(page);

  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('open Traces').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await until(page, 'g t opens the traces', async () => {
    await page.keyboard.press('g'); // the second key has to follow soon: on a busy machine it may take another try
    await page.keyboard.press('t');
    return new URL(page.url()).hash.startsWith('#/traces');
  });
  await rows(page).first().waitFor();
  await tabTo(page, 'input[type=radio]', '');
  await page.keyboard.press('ArrowRight');
  await all(page, 'failed=1', '.bad');
}

async function filters(page) {
  await page.goto(`${origin}/console/#/traces`);
  await page.getByText('Failed', { exact: true }).click();
  await all(page, 'failed=1', '.bad');
  await page.getByLabel('At fault').fill('payments -> bank');
  await page.keyboard.press('Enter');
  await all(page, 'culprit=', `:has-text("${bank}")`);
  await page.getByLabel('Text').fill('nothing has this');
  await page.getByText('No recent trace fits these filters').waitFor();
  await page.getByRole('button', { name: 'Clear', exact: true }).click();
  await rows(page).and(page.locator(':not(.bad)')).first().waitFor();
  assert.equal(new URL(page.url()).hash, '#/traces');
}

async function compare(page) {
  await page.goto(`${origin}/console/#/traces?failed=1`);
  await all(page, 'failed=1', '.bad');
  await rows(page).first().getByRole('checkbox').click();
  const chosen = page.getByRole('region', { name: 'Compare' });
  await chosen.getByText('Choose another one').waitFor();
  await page.getByText('All', { exact: true }).click();
  await rows(page).and(page.locator(':not(.bad, .slow)')).first().getByRole('checkbox').click();
  await chosen.getByRole('link', { name: 'Compare A with B' }).click();
  await page.getByRole('heading', { name: 'Compare', exact: true }).waitFor();
  await page.getByRole('region', { name: 'The largest difference' }).filter({ hasText: `A failed (${bank}` }).waitFor();
  const differing = page.getByRole('table', { name: 'Calls of both traces' }).getByRole('row').and(page.locator('.differs'));
  await differing.first().waitFor();
  await page.getByRole('region', { name: 'Trace A' }).getByRole('link').click();
  await page.getByRole('button', { name: 'Compare with a good one' }).click();
  await page.getByRole('region', { name: 'The largest difference' }).waitFor();
}

async function download(page) {
  await page.goto(address);
  await culprit(page).getByRole('link', { name: 'Show a failed request' }).click();
  const keep = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
    const path = join(await file.path() + '-saved', file.suggestedFilename());
    await file.saveAs(path);
    return { path, name: file.suggestedFilename() };
  };
  const json = await keep('JSON');
  const trace = JSON.parse(await readFile(json.path, 'utf8'));
  assert.equal(json.name, `trace-${trace.trace_id}.json`);
  assert.ok(page.url().endsWith(trace.trace_id) && trace.failed && trace.hops.length > 1, json.name);

  const file = await keep('HTML file');
  assert.equal(file.name, `trace-${trace.trace_id}.html`);
  await opensAlone(file.path, trace.trace_id);
}

/** opensAlone opens a file that was saved, without a network and without script. */
async function opensAlone(path, trace) {
  const context = await browser.newContext({ viewport: wide, offline: true, javaScriptEnabled: false });
  context.setDefaultTimeout(patience);
  const asked = [], errors = [];
  context.on('request', (r) => asked.push(r.url()));
  context.on('console', (m) => { if (m.type() === 'error') errors.push(m.text()); });
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  await page.goto(url);
  assert.match(await page.title(), new RegExp(trace));
  await page.getByRole('row').filter({ hasText: bank }).first().waitFor();
  assert.equal(await page.locator('script, link, img, iframe').count(), 0);
  assert.deepEqual([asked, errors], [[url], []]);
  await context.close();
}

/** narrowScreen does on a telephone what threeClicks does, and filters. */
async function narrowScreen(page) {
  await page.setViewportSize(narrow);
  await page.emulateMedia({ colorScheme: 'dark' });
  await threeClicks(page);
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Traces' }).click();
  await page.getByRole('button', { name: 'Filters' }).click();
  await page.getByLabel('At fault').fill('payments -> bank');
  await page.keyboard.press('Enter');
  await until(page, 'the filter stands in the address', () => page.url().includes('culprit='));
  await until(page, 'only failed traces are left', async () => await rows(page).count() > 0 && await rows(page).and(page.locator(':not(.bad)')).count() === 0);
}

// --- What holds for every page ---

async function everyPage(page, wrong) {
  await page.goto(address);
  const failed = await culprit(page).getByRole('link', { name: 'Show a failed request' }).getAttribute('href');
  await page.goto(`${origin}/console/${failed}`);
  const hop = await page.getByRole('link', { name: 'Everything recorded' }).getAttribute('href');
  await page.getByRole('button', { name: 'Compare with a good one' }).click();
  await page.getByRole('region', { name: 'The largest difference' }).waitFor();
  // The comparison comes first: proxies keep a trace that went well for a while only.
  const pages = [new URL(page.url()).hash, failed, hop, '#/now', '#/map', '#/service/payments', '#/edge/payments/bank', '#/edge/~/web', '#/traces', '#/live', '#/events', '#/config', '#/explain?url=/&headers=x-a:%201', '#/help'];
  for (const hash of pages) {
    await open(page, hash);
    await page.keyboard.press('p'); // nothing moves while it is looked at
    await page.getByRole('button', { name: 'Pause', exact: true, pressed: true }).first().waitFor();
    await page.evaluate(axe);
    for (const size of [wide, narrow]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme });
        wrong.push(...(await complaints(page)).map((c) => `${hash}, ${size.width} px, ${colorScheme}: ${c}`));
      }
    }
    await page.setViewportSize(wide);
  }
}

/** open returns when the page has its data. */
async function open(page, hash) {
  await page.goto('about:blank'); // the console begins anew
  await page.goto(`${origin}/console/${hash}`);
  await page.getByRole('main').getByRole('heading', { level: 1 }).waitFor();
  await until(page, `${hash} has its data`, async () => await page.locator('.loading, .error').count() === 0);
  if (hash === '#/live') await rows(page).first().waitFor();
}

/** complaints is what axe finds that is serious or critical, and whether the page is wider than its window. */
async function complaints(page) {
  return await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'], preload: false });
    const said = violations.filter((v) => ['serious', 'critical'].includes(v.impact)).flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html} ${n.failureSummary}`));
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [...said, `it is ${scrollWidth} px wide, in a window of ${clientWidth}`] : said;
  });
}

// --- Pictures ---

async function pictures(folder) {
  const shot = (name, hash, viewport, colorScheme) => alone(async (page) => {
    await open(page, hash);
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
  }, { viewport, colorScheme });
  let failed = '';
  await alone(async (page) => {
    await page.goto(address);
    failed = await culprit(page).getByRole('link', { name: 'Show a failed request' }).getAttribute('href');
  });
  await shot('now', '#/now', wide, 'light');
  await shot('trace', failed, { width: 1440, height: 1060 }, 'light');
  await shot('map', '#/map', wide, 'dark');
  await shot('now-narrow', '#/now', narrow, 'light');
}

// --- What the steps have in common ---

/** culprit is what the start page says about the hop that fails in the demo. */
function culprit(page) {
  return page.getByRole('region', { name: 'Who is at fault' }).getByRole('listitem').filter({ hasText: bank }).first();
}

/** rows are the traces that a list shows; it draws no more of them than are seen. */
function rows(page) {
  return page.locator('.tlist-body').getByRole('row');
}

async function isFailingHop(page) {
  await page.getByRole('heading', { level: 1 }).filter({ hasText: bank }).waitFor();
  await page.getByRole('main').getByText('connection refused').first().waitFor();
}

/** all waits until the address has the filter, and each trace that is shown fits it. */
async function all(page, query, selector) {
  await until(page, `only traces with ${query}`, async () => {
    if (!page.url().includes(query)) return false;
    const [n, fitting] = [await rows(page).count(), await rows(page).and(page.locator(selector)).count()];
    return n > 0 && n === fitting;
  });
}

/** tabTo presses Tab until an element that fits has the focus, or checks that it has. */
async function tabTo(page, selector, text, most = 150) {
  const there = () => page.evaluate(([s, t]) => !!document.activeElement?.matches(s) && document.activeElement.textContent.includes(t), [selector, text]);
  for (let i = 0; i < most; i++) {
    if (await there()) return;
    await page.keyboard.press('Tab');
  }
  await until(page, `${selector} "${text}" has the focus`, there);
}

async function until(page, what, holds) {
  const end = Date.now() + patience;
  while (!await holds()) {
    assert.ok(Date.now() < end, `still not so: ${what}`);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}
