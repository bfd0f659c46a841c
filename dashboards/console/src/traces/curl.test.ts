import { expect, test } from 'vitest';
import { curl, quote } from './curl';
import { request } from './sample';

test.each([
  [{}, `curl --include --path-as-is --globoff --url 'http://web/web'`],
  [{ scheme: 'https', host: 'shop.example:8443', path: '/a', query: 'x=1&token=REDACTED' }, `curl --include --path-as-is --globoff --url 'https://shop.example:8443/a?x=1&token=REDACTED'`],
  [{ method: 'POST', bytes_in: 12 }, `curl --include --request 'POST' --path-as-is --globoff --url 'http://web/web'\n# its content, 12 B, was not recorded`],
  [{ method: 'HEAD' }, `curl --head --path-as-is --globoff --url 'http://web/web'`],
  [{ method: '_OTHER', method_original: 'PURGE' }, `curl --include --request 'PURGE' --path-as-is --globoff --url 'http://web/web'`],
  [{ version: 'HTTP/2', grpc: true, method: 'POST' }, `curl --include --request 'POST' --http2-prior-knowledge --path-as-is --globoff --url 'http://web/web'\n# a gRPC call: grpcurl can make it; its message was not recorded`],
  [{ host: '', path: '', peer: '127.0.0.1:9' }, `curl --include --path-as-is --globoff --url 'http://127.0.0.1:9/'`],
])('%j', (more, want) => expect(curl(request('web', 'w', '', 0, 1, more))).toBe(want));

test.each([
  [`it's`, `'it'\\''s'`], [`'; rm -rf / #`, `''\\''; rm -rf / #'`], ['$(id)`id`', "'$(id)`id`'"], ['\\', `'\\'`], ['"', `'"'`],
  ['a\nb', `$'a\\u000ab'`], ['\u001b]0;x\u0007', `$'\\u001b]0;x\\u0007'`], [`it's\n\\`, `$'it\\'s\\u000a\\\\'`], ['ü\u0085', `$'ü\\u0085'`],
])('a shell reads %j as one word', (text, want) => expect(quote(text)).toBe(want));

test('no field of the header is in it', () => {
  const h = request('web', 'w', '', 0, 1, { user_agent: 'SECRET', tracestate: 'SECRET', request_id: 'SECRET', client: 'SECRET' });
  expect(curl(h)).not.toContain('SECRET');
});
