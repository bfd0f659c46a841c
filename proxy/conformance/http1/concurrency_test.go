package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1Concurrency has many clients do all kinds of things at once: no
// client sees an error that it did not make itself, and nothing is left behind.
func TestHTTP1Concurrency(t *testing.T) {
	proxytest.NoLeaks(t)
	const clients, turns = 200, 12
	before := proxytest.OpenFiles(t)
	t.Run("all at once", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/large":
				w.Write([]byte(proxytest.Pattern(200_000)))
			case "/slow":
				for i := range 3 {
					fmt.Fprint(w, i)
					http.NewResponseController(w).Flush()
				}
			default:
				proxytest.Echo(w, r)
			}
		}), func(s *proxytest.Settings) {
			// Requests wait for a connection; on a busy machine longer than the default.
			s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.ConnectTimeout = 64, proxytest.Patience
		})
		var wg sync.WaitGroup
		var aborted atomic.Int64
		for i := range clients {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				for turn := 0; turn < turns; {
					n, gone := converse(t, rig.Ingress(), random, turns-turn)
					turn += n
					if gone {
						aborted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		rig.CloseWithin(proxytest.Patience)
		failed := 0
		for _, s := range rig.Traces() {
			if s.Flags != 0 && s.Flags.String() != "DC" && s.Flags.String() != "DR" {
				t.Errorf("flags %s: %s", s.Flags, s.Failure.Reason)
			}
			if s.Flags != 0 {
				failed++
			}
		}
		if int64(failed) > aborted.Load() {
			t.Errorf("%d requests failed, %d were aborted", failed, aborted.Load())
		}
	})
	proxytest.Eventually(t, "all descriptors being closed", func() bool { return proxytest.OpenFiles(t) <= before })
}

// converse sends up to most requests on one connection, of kinds that chance
// chooses, and returns how many it sent, and whether it broke the last one off.
func converse(t *testing.T, address string, random *rand.Rand, most int) (sent int, aborted bool) {
	c, err := net.DialTimeout("tcp", address, proxytest.Patience)
	if err != nil {
		t.Error(err)
		return most, false
	}
	defer c.Close()
	p := proxytest.NewPeer(t, c)
	p.Fail = t.Errorf
	for sent < most {
		sent++
		text := proxytest.Pattern(random.IntN(40_000))
		want := "/ " + text
		switch random.IntN(8) {
		case 0:
			p.Send(proxytest.RootRequest)
			want = "/ "
		case 1:
			p.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		case 2:
			p.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(9000))
				p.Send(fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n]))
				rest = rest[n:]
			}
			p.Send("0\r\n\r\n")
		case 3:
			p.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
			want = proxytest.Pattern(200_000)
		case 4:
			p.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
			want = "012"
		case 5: // leaves within its request
			p.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text)+1, text))
			if random.IntN(2) == 0 {
				p.Reset()
			}
			return sent, true
		case 6: // leaves within its response
			p.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
			p.ReadN(1000)
			if random.IntN(2) == 0 {
				p.Reset()
			}
			return sent, true
		case 7:
			p.Send(proxytest.RootRequest, proxytest.RootRequest, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
			p.ReadOK()
			p.ReadOK()
			want = "/ hi"
		}
		if got := p.ReadOK(); got != want {
			t.Errorf("received %d bytes, %.60q, want %d, %.60q", len(got), got, len(want), want)
			return most, false
		}
	}
	return sent, false
}

// TestHTTP1CloseUnderLoad ends a proxy while it is busy: what it took it
// answers, and nothing is left behind.
func TestHTTP1CloseUnderLoad(t *testing.T) {
	proxytest.NoLeaks(t)
	before := proxytest.OpenFiles(t)
	t.Run("busy", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo))
		var served atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			client := rig.Dial()
			wg.Go(func() {
				for {
					// A connection may end between two requests, not within an answer.
					client.SetDeadline(time.Now().Add(proxytest.Patience))
					if _, err := io.WriteString(client, proxytest.RootRequest); err != nil {
						return
					}
					resp, err := http.ReadResponse(client.Reader, nil)
					if err != nil {
						if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "malformed") {
							t.Error(err)
						}
						return
					}
					if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "/ " || resp.StatusCode != 200 {
						t.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
					}
					served.Add(1)
					if resp.Close {
						client.Close()
						return
					}
				}
			})
		}
		proxytest.Eventually(t, "some being served", func() bool { return served.Load() > 200 })
		rig.CloseWithin(proxytest.Patience)
		wg.Wait()
	})
	proxytest.Eventually(t, "all descriptors being closed", func() bool { return proxytest.OpenFiles(t) <= before })
}
