// The service prices, in JavaScript: it calls nobody.
import { createServer } from 'node:http';

createServer((request, response) => {
  switch (request.url) {
    case '/healthz':
      response.end();
      break;
    case '/price':
      response.end('9.90\n');
      break;
    default:
      response.writeHead(404).end('prices serves /price\n');
  }
}).listen(3000, '127.0.0.1');

process.on('SIGTERM', () => process.exit(0));
