// The request of a hop as a command. Header fields and content are not recorded, so that
// nothing secret can be in it; credentials in the query were replaced by the proxy.

import { bytes } from '../format';
import { type Hop, method } from './hop';

/** curl is the command that makes the request of a hop again. */
export function curl(h: Hop): string {
  const m = method(h) || 'GET';
  const address = `${h.scheme === 'https' ? 'https' : 'http'}://${h.host || h.peer || 'localhost'}${h.path || '/'}${h.query ? '?' + h.query : ''}`;
  const words = ['curl', m === 'HEAD' ? '--head' : '--include'];
  if (m !== 'GET' && m !== 'HEAD') words.push('--request', quote(m));
  if (h.version === 'HTTP/2') words.push(h.scheme === 'https' ? '--http2' : '--http2-prior-knowledge');
  words.push('--path-as-is', '--globoff', '--url', quote(address));
  const lines = [words.join(' ')];
  if (h.grpc) lines.push('# a gRPC call: grpcurl can make it; its message was not recorded');
  else if (h.bytes_in > 0) lines.push(`# its content, ${bytes(h.bytes_in).replace('\u00a0', ' ')}, was not recorded`);
  return lines.join('\n');
}

/** quote makes one word of a text for a POSIX shell; control characters, which a terminal might obey, as escapes that bash and zsh know. */
export function quote(text: string): string {
  if (!/[\u0000-\u001f\u007f-\u009f]/.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = text.replace(/[\\']/g, '\\$&')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
  return `$'${escaped}'`;
}
