"""The service orders, in Python: it asks prices, through the proxy of HTTP_PROXY."""
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTEXT = ("traceparent", "tracestate")


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, b"")
        elif self.path == "/order":
            self.order()
        else:
            self.answer(404, b"orders serves /order\n")

    def order(self):
        # What tracing asks of an application: hand the context on.
        context = {name: self.headers[name] for name in CONTEXT if self.headers[name]}
        call = urllib.request.Request("http://prices/price", headers=context)
        try:
            with urllib.request.urlopen(call, timeout=10) as reply:
                self.answer(200, b"ordered for " + reply.read())
        except OSError as error:  # an HTTP error is one, too
            self.answer(502, f"prices: {error}\n".encode())

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass  # the sidecar has an access log


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 3000), Orders).serve_forever()
