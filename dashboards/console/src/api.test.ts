import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { address, ApiError, get, lines, loadSession, peerPath, post, session, signIn, signOut } from './api';

type Call = { url: string; init: RequestInit };
let calls: Call[];
let answers: (() => Response | Promise<Response>)[];

beforeEach(() => {
  calls = [];
  answers = [];
  session.set(undefined);
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    calls.push({ url, init });
    return await answers.shift()!();
  });
});
afterEach(() => vi.unstubAllGlobals());

const json = (body: unknown, status = 200) => () => new Response(JSON.stringify(body), { status });
const header = (c: Call, name: string) => new Headers(c.init.headers).get(name);

describe('a request', () => {
  it('has its queries, without empty ones', async () => {
    answers.push(json({ a: 1 }));
    expect(await get('/v1/mesh/traces', { failed: true, slow: false, route: '/a b', text: '', min: undefined, limit: 10 })).toEqual({ a: 1 });
    const url = new URL(calls[0]!.url);
    expect(url.pathname).toMatch(/\/v1\/mesh\/traces$/);
    expect([...url.searchParams]).toEqual([['failed', '1'], ['route', '/a b'], ['limit', '10']]);
  });
  it('stays at the address of the page', () => expect(new URL(address('/v1/self')).origin).toBe(new URL(document.baseURI).origin));
  it('goes through the proxy to a member', () => expect(peerPath('[::1]:9901', '/v1/config')).toBe('/v1/peers/%5B%3A%3A1%5D%3A9901/v1/config'));
  it('that changes something has the token against forgery, others do not', async () => {
    session.set({ signed_in: true, roles: ['control'], token_wanted: true, csrf: 'secret' });
    answers.push(json({}), json({}), () => new Response(null, { status: 204 }));
    await get('/v1/self');
    await post('/reload');
    expect(header(calls[0]!, 'Hopscope-CSRF')).toBeNull();
    expect(header(calls[1]!, 'Hopscope-CSRF')).toBe('secret');
    expect(await post('/drain')).toEqual({});
  });
});

describe('an error', () => {
  const failure = async (p: Promise<unknown>): Promise<ApiError> => {
    try { await p; } catch (e) { return e as ApiError; }
    throw new Error('it did not fail');
  };
  it('has the words of the proxy', async () => {
    answers.push(json({ error: 'there is no /x here', hint: 'try /y' }, 404));
    expect(await failure(get('/x'))).toMatchObject({ message: 'there is no /x here', hint: 'try /y', status: 404 });
  });
  it('may be problem+json', async () => {
    answers.push(json({ title: 'no hop of the trace is known', detail: 'it made room' }, 404));
    expect(await failure(get('/x'))).toMatchObject({ message: 'no hop of the trace is known', hint: 'it made room' });
  });
  it('of a path that is not known says that the proxy is older', async () => {
    answers.push(json({ error: 'there is no /v1/config here', hint: 'these are the endpoints', endpoints: ['GET /'] }, 404));
    expect(await failure(get('/v1/config'))).toMatchObject({ message: 'This version of hopscope can not answer that', hint: 'there is no /v1/config here' });
  });
  it('without words has its status', async () => {
    answers.push(() => new Response('<html>', { status: 502 }));
    expect((await failure(get('/x'))).message).toBe('The proxy answered 502');
  });
  it('says that nobody answers', async () => {
    answers.push(() => { throw new TypeError('fetch failed'); });
    expect(await failure(get('/x'))).toMatchObject({ status: 0, message: 'The proxy does not answer' });
  });
  it('is none if the page does not want the answer any more', async () => {
    const abort = new AbortController();
    abort.abort();
    answers.push(() => { throw abort.signal.reason as Error; });
    expect(await failure(get('/x', {}, abort.signal))).not.toBeInstanceOf(ApiError);
  });
  it('401 leads to the sign-in', async () => {
    session.set({ signed_in: true, roles: ['read'], token_wanted: true, csrf: 'c' });
    answers.push(json({ error: 'a token is wanted' }, 401));
    await failure(get('/v1/mesh/why'));
    expect(session.get()).toMatchObject({ signed_in: false, token_wanted: true });
  });
});

describe('a session', () => {
  it('is begun with a token, and ended', async () => {
    answers.push(json({ signed_in: true, roles: ['read'], token_wanted: true, csrf: 'c' }), () => new Response(null, { status: 204 }), json({ signed_in: false, roles: [], token_wanted: true, csrf: '' }));
    await signIn('tok');
    expect(JSON.parse(String(calls[0]!.init.body))).toEqual({ token: 'tok' });
    expect(session.get()!.signed_in).toBe(true);
    await signOut();
    expect(calls[1]!.init.method).toBe('DELETE');
    expect(header(calls[1]!, 'Hopscope-CSRF')).toBe('c');
    expect(session.get()!.signed_in).toBe(false);
  });
  it('that is refused changes nothing', async () => {
    session.set({ signed_in: false, roles: [], token_wanted: true, csrf: '' });
    answers.push(json({ error: 'wrong token' }, 401));
    await expect(signIn('no')).rejects.toThrow('wrong token');
    expect(session.get()!.signed_in).toBe(false);
  });
  it('is not needed at a proxy that knows none', async () => {
    answers.push(json({ error: 'there is no /v1/session here' }, 404));
    await loadSession();
    expect(session.get()).toMatchObject({ signed_in: true, token_wanted: false });
  });
});

describe('a stream', () => {
  const stream = (parts: string[]) => () => new Response(new ReadableStream({
    start(c) {
      for (const p of parts) c.enqueue(new TextEncoder().encode(p));
      c.close();
    },
  }));
  const all = async <T>(g: AsyncGenerator<T>) => {
    const out: T[] = [];
    for await (const x of g) out.push(x);
    return out;
  };
  it('has an object a line, wherever it is cut', async () => {
    answers.push(stream(['{"a"', ':1}\n{}\n{"b":"', 'ü"}', '\n\n{"c":3}']));
    expect(await all(lines('/v1/mesh/tail', {}, new AbortController().signal))).toEqual([{ a: 1 }, {}, { b: 'ü' }, { c: 3 }]);
  });
  it('ends early without an error', async () => {
    answers.push(stream(['{"a":1}\n{"a":2}\n']));
    for await (const x of lines<{ a: number }>('/v1/mesh/tail', {}, new AbortController().signal)) {
      expect(x.a).toBe(1);
      break;
    }
  });
});
