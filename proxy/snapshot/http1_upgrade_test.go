package snapshot_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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
		{name: "past the route's timeout", framing: length, later: dockerBody, timeout: short},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noLeaks(t)
			got := make(chan struct{}) // the endpoint has the head
			rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
				p.SetDeadline(timeLimit())
				r, err := http.ReadRequest(p.r)
				if err != nil {
					t.Error(err)
					return
				}
				close(got)
				if r.Header.Get("Upgrade") != "tcp" || r.Header.Get("Connection") != "upgrade" || r.Method != "POST" {
					t.Errorf("the endpoint got %s with %v", r.Method, r.Header)
				}
				if tt.early {
					p.send(dockerOK)
				}
				if body, err := io.ReadAll(r.Body); string(body) != dockerBody || err != nil {
					t.Errorf("content %q, %v", body, err)
				}
				if !tt.early {
					p.send(dockerOK)
				}
				if tt.timeout > 0 {
					<-time.After(2 * tt.timeout)
				}
				p.send("prompt> ")
				p.expect(tt.ahead + "command")
				p.send("output")
			}), func(s *settings) {
				if tt.timeout > 0 {
					s.Route.Timeout = tt.timeout
				}
			})
			client := rig.dial()
			trace, field := newTrace()
			first := dockerHead + field + tt.framing + dockerMore + "\r\n" + tt.now
			if tt.later == "" {
				client.send(first, tt.ahead)
			} else {
				client.send(first)
				<-got
				if tt.early {
					client.expect("HTTP/1.1 101 ")
				}
				client.send(tt.later, tt.ahead)
			}
			if first, fields := client.head(); !tt.early && first != "HTTP/1.1 101 UPGRADED" || value(fields, "Upgrade") != "tcp" {
				t.Errorf("%q %q", first, fields)
			}
			client.expect("prompt> ")
			client.send("command")
			client.expect("output")
			client.CloseWrite()
			client.closed()
			h := rig.hop(trace)
			if h.Kind != hop.KindTunnel || h.Status != 101 || h.Flags != 0 || h.BytesIn != int64(len(dockerBody+tt.ahead+"command")) || h.BytesOut != int64(len("prompt> output")) {
				t.Errorf("kind %d, status %d, flags %q (%s), %d bytes in, %d out", h.Kind, h.Status, h.Flags, h.Failure.Reason, h.BytesIn, h.BytesOut)
			}
		})
	}
}

// TestHTTP1UpgradeWithContentRefused: an answer that changes nothing is an ordinary
// one, and the connection goes on behind the content. So it is where the endpoint
// speaks HTTP/2, which has no such offer.
func TestHTTP1UpgradeWithContentRefused(t *testing.T) {
	for _, up := range sides[:2] {
		for name, content := range map[string]string{
			"length":  fmt.Sprintf("Content-Length: %d\r\n%s\r\n%s", len(dockerBody), dockerMore, dockerBody),
			"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", dockerMore, len(dockerBody), dockerBody),
		} {
			t.Run(up.name+", "+name, func(t *testing.T) {
				noLeaks(t)
				p := stage(t, up, 1, answers(409))
				x := p.try(h1c, up)
				client := x.rig.dial()
				for range 2 {
					client.send(dockerHead, content)
					if r, body := client.response("POST"); r.StatusCode != 409 || body != "as planned" || r.Close {
						t.Errorf("status %d, %q, close %t", r.StatusCode, body, r.Close)
					}
				}
				for _, r := range p.requests() {
					if r.body != dockerBody || (r.header.Get("Upgrade") == "tcp") == up.http2 {
						t.Errorf("the endpoint got %q, %v", r.body, r.header)
					}
				}
			})
		}
	}
}

// TestHTTP1UpgradeWithContentBreaksOff: a client that leaves within its content has
// ended the exchange, though the endpoint has agreed.
func TestHTTP1UpgradeWithContentBreaksOff(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
		p.head()
		p.send(dockerOK)
		if rest, _ := p.rest(); strings.Contains(rest, "0\r\n\r\n") {
			t.Errorf("the endpoint got %q", rest)
		}
	}))
	client := rig.dial()
	trace, field := newTrace()
	client.send(dockerHead, field, "Transfer-Encoding: chunked\r\n", dockerMore, "\r\n5\r\nhello\r\n")
	client.expect("HTTP/1.1 101")
	client.reset()
	if h := rig.hop(trace); h.Flags.String() != "DC" {
		t.Errorf("flags %q: %s", h.Flags, h.Failure.Reason)
	}
}
