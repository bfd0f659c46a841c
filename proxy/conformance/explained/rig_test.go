package explained_test

import (
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// endpoints runs an endpoint of each protocol, by the names that clusters have for them. The
// heads that they get are sent to got.
func endpoints(t *testing.T, got chan<- []string) map[string]string {
	return map[string]string{
		"http1": proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			for {
				lines, err := p.TryReadHead()
				if err != nil || len(lines) == 0 {
					return
				}
				switch {
				case slices.Contains(lines, "Content-Length: 5"):
					p.ReadN(5)
				case slices.Contains(lines, "Transfer-Encoding: chunked"):
					if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(p.Reader)); err != nil {
						p.Fail("reading content: %v", err)
					}
					p.ReadN(len("\r\n"))
				}
				got <- lines
				p.Send(proxytest.OKResponse)
			}
		}),
		"http2": proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
			for {
				frame, err := f.ReadNext()
				if err != nil {
					return
				}
				if head, ok := frame.(*http2.MetaHeadersFrame); ok {
					got <- linesOf(head)
				}
				if frame.Header().Flags.Has(http2.FlagDataEndStream) { // which is that of HEADERS, too
					f.Answer(frame.Header().StreamID, true, ":status: 200")
				}
			}
		}),
	}
}

// linesOf is a head of HTTP/2 in the form of HTTP/1.
func linesOf(head *http2.MetaHeadersFrame) []string {
	lines := []string{head.PseudoValue("method") + " " + head.PseudoValue("path") + " HTTP/2"}
	if authority := head.PseudoValue("authority"); authority != "" {
		lines = append(lines, "host: "+authority)
	}
	for _, f := range head.RegularFields() {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return lines
}

// client sends what is explained.
type client struct {
	proxy *proxytest.Proxy
	http1 *proxytest.Peer
	http2 *proxytest.HTTP2Peer
}

// send sends a request, and returns its response, its Hop and the head that an endpoint got.
// Every other call has content, an empty message.
func (c *client) send(asked explain.Request, got <-chan []string, n int) (response *http.Response, took *hop.Hop, head []string) {
	c.proxy.T.Helper()
	if asked.HTTP2 {
		response = c.sendHTTP2(asked, n%2 == 0)
	} else {
		c.http1.Send(asked.Method + " " + asked.URL + " HTTP/1.1\r\n" + strings.Join(asked.Headers, "\r\n") + "\r\n\r\n")
		response, _ = c.http1.ReadResponse(asked.Method)
	}
	took = c.proxy.LatestHop(n)
	select {
	case head = <-got:
	default:
	}
	return response, took, head
}

func (c *client) sendHTTP2(asked explain.Request, content bool) *http.Response {
	c.proxy.T.Helper()
	lines := []string{":method: " + asked.Method, ":scheme: http", ":path: " + asked.URL}
	call := slices.Contains(asked.Headers, "TE: trailers")
	var fields []string
	for _, line := range asked.Headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			lines = append(lines, ":authority: "+value)
			continue
		}
		fields = append(fields, strings.ToLower(name)+": "+value)
	}
	f := c.http2
	stream := f.Next
	f.Next += 2
	f.SendHeaders(stream, !call || !content, f.Encode(append(lines, fields...)...))
	if call && content {
		f.Check(f.WriteData(stream, true, make([]byte, 5)))
	}
	response, _ := f.ReadResponse(stream)
	return response
}
