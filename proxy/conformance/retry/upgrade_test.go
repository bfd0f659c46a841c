package retry_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// What Docker's client sends to run a command in a container, byte for byte but for
// the ids, and what the daemon answers.
const (
	dockerHead = "POST /v1.45/exec/8a7f/start HTTP/1.1\r\nHost: api.moby.localhost\r\nUser-Agent: Docker-Client/26.1.0 (linux)\r\n"
	dockerMore = "Connection: Upgrade\r\nContent-Type: application/json\r\nUpgrade: tcp\r\n"
	dockerBody = `{"Detach":false,"Tty":true}` + "\n"
	dockerOK   = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)

// TestHTTP1UpgradeWithContent: a request that asks to change protocols may have
// content, which goes first (RFC 9110 section 7.8). After the 101 the bytes are the
// tunnel's, those that came right behind the content too.
func TestHTTP1UpgradeWithContent(t *testing.T) {
	length := fmt.Sprintf("Content-Length: %d\r\n", len(dockerBody))
	const chunked = "Transfer-Encoding: chunked\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(dockerBody), dockerBody)
	for _, tt := range []struct {
		name       string
		framing    string
		now, later string // of the content, with the head and after it
		ahead      string // what the client sends behind it without waiting
		early      bool   // the endpoint agrees before it has the content
		timeout    time.Duration
	}{
		{name: "with the head", framing: length, now: dockerBody},
		{name: "after the head", framing: length, later: dockerBody},
		{name: "in parts", framing: length, now: dockerBody[:10], later: dockerBody[10:]},
		{name: "chunked", framing: chunked, now: chunk},
		{name: "chunked, after the head", framing: chunked, later: chunk},
		{name: "with bytes behind it", framing: length, now: dockerBody, ahead: "ahead "},
		{name: "in parts, with bytes behind it", framing: length, now: dockerBody[:3], later: dockerBody[3:], ahead: "ahead "},
		{name: "chunked, with bytes behind it", framing: chunked, later: chunk, ahead: "ahead "},
		{name: "the endpoint does not wait", framing: chunked, later: chunk, early: true, ahead: "ahead "},
		{name: "past the route's timeout", framing: length, later: dockerBody, timeout: proxytest.Short},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			test := func(t testing.TB, timeout time.Duration) {
				got := make(chan struct{}) // the endpoint has the head
				rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.SetDeadline(proxytest.Deadline())
					r, err := http.ReadRequest(p.Reader)
					if err != nil {
						t.Error(err)
						return
					}
					close(got)
					if r.Header.Get("Upgrade") != "tcp" || r.Header.Get("Connection") != "upgrade" || r.Method != "POST" {
						t.Errorf("the endpoint got %s with %v", r.Method, r.Header)
					}
					if tt.early {
						p.Send(dockerOK)
					}
					if body, err := io.ReadAll(r.Body); string(body) != dockerBody || err != nil {
						t.Errorf("content %q, %v", body, err)
					}
					if !tt.early {
						p.Send(dockerOK)
					}
					if timeout > 0 {
						time.Sleep(2 * timeout) // the route's timeout ends nothing any more
					}
					p.Send("prompt> ")
					p.Expect(tt.ahead + "command")
					p.Send("output")
				}), func(s *proxytest.Settings) {
					if timeout > 0 {
						s.Route.Timeout = timeout
					}
				})
				client := rig.Dial()
				trace, field := proxytest.NewTrace()
				first := dockerHead + field + tt.framing + dockerMore + "\r\n" + tt.now
				if tt.later == "" {
					client.Send(first, tt.ahead)
				} else {
					client.Send(first)
					<-got
					if tt.early {
						client.Expect("HTTP/1.1 101 ")
					}
					client.Send(tt.later, tt.ahead)
				}
				if first, fields := client.ReadHead(); !tt.early && first != "HTTP/1.1 101 UPGRADED" || proxytest.Field(fields, "Upgrade") != "tcp" {
					t.Errorf("%q %q", first, fields)
				}
				client.Expect("prompt> ")
				client.Send("command")
				client.Expect("output")
				client.CloseWrite()
				client.ExpectEnd()
				h := rig.Hop(trace)
				if h.Kind != hop.KindTunnel || h.Status != 101 || h.Flags != 0 || h.BytesIn != int64(len(dockerBody+tt.ahead+"command")) || h.BytesOut != int64(len("prompt> output")) {
					t.Errorf("kind %d, status %d, flags %q (%s), %d bytes in, %d out", h.Kind, h.Status, h.Flags, h.Failure.Reason, h.BytesIn, h.BytesOut)
				}
			}
			if tt.timeout > 0 {
				proxytest.Unhurried(t, tt.timeout, test)
			} else {
				test(t, 0)
			}
		})
	}
}

// TestHTTP1UpgradeWithContentRefused: an answer that changes nothing is an ordinary
// one, and the connection goes on behind the content. So it is where the endpoint
// speaks HTTP/2, which has no such offer.
func TestHTTP1UpgradeWithContentRefused(t *testing.T) {
	for _, up := range proxytest.Sides[:2] {
		for name, content := range map[string]string{
			"length":  fmt.Sprintf("Content-Length: %d\r\n%s\r\n%s", len(dockerBody), dockerMore, dockerBody),
			"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", dockerMore, len(dockerBody), dockerBody),
		} {
			t.Run(up.Name+", "+name, func(t *testing.T) {
				proxytest.NoLeaks(t)
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(409))
				x := p.Start(proxytest.H1C, up)
				client := x.Dial()
				for range 2 {
					client.Send(dockerHead, content)
					if r, body := client.ReadResponse("POST"); r.StatusCode != 409 || body != "as planned" || r.Close {
						t.Errorf("status %d, %q, close %t", r.StatusCode, body, r.Close)
					}
				}
				for _, r := range p.Requests() {
					if r.Body != dockerBody || (r.Header.Get("Upgrade") == "tcp") == up.HTTP2 {
						t.Errorf("the endpoint got %q, %v", r.Body, r.Header)
					}
				}
			})
		}
	}
}

// TestHTTP1UpgradeWithContentBreaksOff: a client that leaves within its content has
// ended the exchange, though the endpoint has agreed.
func TestHTTP1UpgradeWithContentBreaksOff(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send(dockerOK)
		if rest, _ := p.ReadRest(); strings.Contains(rest, "0\r\n\r\n") {
			t.Errorf("the endpoint got %q", rest)
		}
	}))
	client := rig.Dial()
	trace, field := proxytest.NewTrace()
	client.Send(dockerHead, field, "Transfer-Encoding: chunked\r\n", dockerMore, "\r\n5\r\nhello\r\n")
	client.Expect("HTTP/1.1 101")
	client.Reset()
	if h := rig.Hop(trace); h.Flags.String() != "DC" {
		t.Errorf("flags %q: %s", h.Flags, h.Failure.Reason)
	}
}
