package snapshot_test

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
)

// TestHTTP1Concurrency has many clients do all kinds of things at once: no
// client sees an error that it did not make itself, and nothing is left behind.
func TestHTTP1Concurrency(t *testing.T) {
	noLeaks(t)
	const clients, turns = 200, 12
	before := descriptors(t)
	t.Run("all at once", func(t *testing.T) {
		rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/large":
				w.Write([]byte(pattern(200_000)))
			case "/slow":
				for i := range 3 {
					fmt.Fprint(w, i)
					http.NewResponseController(w).Flush()
				}
			default:
				echo(w, r)
			}
		}), func(s *settings) {
			// Requests wait for a connection; on a busy machine longer than the default.
			s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.ConnectTimeout = 64, patience
		})
		var wg sync.WaitGroup
		var aborted atomic.Int64
		for i := range clients {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				for turn := 0; turn < turns; {
					n, gone := converse(t, rig.ingress(), random, turns-turn)
					turn += n
					if gone {
						aborted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		rig.close(patience)
		failed := 0
		for _, s := range rig.traces() {
			if s.Flags != 0 && s.Flags.String() != "DC" && s.Flags.String() != "DR" {
				t.Errorf("flags %s: %s", s.Flags, s.Reason)
			}
			if s.Flags != 0 {
				failed++
			}
		}
		if int64(failed) > aborted.Load() {
			t.Errorf("%d requests failed, %d were aborted", failed, aborted.Load())
		}
	})
	eventually(t, "all descriptors being closed", func() bool { return descriptors(t) <= before })
}

// converse sends up to most requests on one connection, of kinds that chance
// chooses, and returns how many it sent, and whether it broke the last one off.
func converse(t *testing.T, address string, random *rand.Rand, most int) (sent int, aborted bool) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Error(err)
		return most, false
	}
	defer c.Close()
	p := newPeer(t, c)
	p.fail = t.Errorf
	for sent < most {
		sent++
		text := pattern(random.IntN(40_000))
		want := "/ " + text
		switch random.IntN(8) {
		case 0:
			p.send(getRoot)
			want = "/ "
		case 1:
			p.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		case 2:
			p.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(9000))
				p.send(fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n]))
				rest = rest[n:]
			}
			p.send("0\r\n\r\n")
		case 3:
			p.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
			want = pattern(200_000)
		case 4:
			p.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
			want = "012"
		case 5: // leaves within its request
			p.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text)+1, text))
			if random.IntN(2) == 0 {
				p.reset()
			}
			return sent, true
		case 6: // leaves within its response
			p.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
			p.read(1000)
			if random.IntN(2) == 0 {
				p.reset()
			}
			return sent, true
		case 7:
			p.send(getRoot, getRoot, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
			p.ok()
			p.ok()
			want = "/ hi"
		}
		if got := p.ok(); got != want {
			t.Errorf("received %d bytes, %.60q, want %d, %.60q", len(got), got, len(want), want)
			return most, false
		}
	}
	return sent, false
}

// TestHTTP1CloseUnderLoad ends a proxy while it is busy: what it took it
// answers, and nothing is left behind.
func TestHTTP1CloseUnderLoad(t *testing.T) {
	noLeaks(t)
	before := descriptors(t)
	t.Run("busy", func(t *testing.T) {
		rig := startProxy(t, goServer(t, echo))
		var served atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			client := rig.dial()
			wg.Go(func() {
				for {
					// A connection may end between two requests, not within an answer.
					client.SetDeadline(time.Now().Add(patience))
					if _, err := io.WriteString(client, getRoot); err != nil {
						return
					}
					resp, err := http.ReadResponse(client.r, nil)
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
		eventually(t, "some being served", func() bool { return served.Load() > 200 })
		rig.close(patience)
		wg.Wait()
	})
	eventually(t, "all descriptors being closed", func() bool { return descriptors(t) <= before })
}
