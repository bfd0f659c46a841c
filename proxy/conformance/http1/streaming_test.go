package http1_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1BodiesAreBounded streams much both ways at once and looks at how
// much memory that takes.
func TestHTTP1BodiesAreBounded(t *testing.T) {
	proxytest.NoLeaks(t)
	const size = 256 << 20
	if testing.Short() {
		t.Skip("256 MiB each way")
	}
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.Body}, make([]byte, 64<<10))
	}))
	for _, length := range []int64{size, -1} {
		t.Run(fmt.Sprint("length ", length), func(t *testing.T) {
			var before, during runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			up := proxytest.NewSource(size)
			trace, field := proxytest.NewTrace()
			req, _ := http.NewRequest("POST", "http://"+rig.Ingress()+"/", io.NopCloser(up))
			req.ContentLength = length
			_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
			req.Header.Set("traceparent", tp)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			down, most := xxhash.New(), uint64(0)
			for buf, n := make([]byte, 64<<10), 0; ; n++ {
				k, err := resp.Body.Read(buf)
				down.Write(buf[:k])
				if n%500 == 0 {
					runtime.ReadMemStats(&during)
					most = max(most, during.HeapInuse)
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if down.Sum64() != up.Total.Sum64() {
				t.Error("what came back is not what was sent")
			}
			// The client and the endpoint are in this process too, and garbage is.
			if grown := int64(most) - int64(before.HeapInuse); grown > 16<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			h := rig.Hop(trace)
			if h.BytesIn != size || h.BytesOut != size || h.Flags != 0 {
				t.Errorf("bytes %d in, %d out, flags %q", h.BytesIn, h.BytesOut, h.Flags)
			}
		})
	}
}

// stopped waits until no more is sent, and returns how much was.
func stopped(t *testing.T, sent *atomic.Int64) int64 {
	t.Helper()
	n := sent.Load()
	proxytest.Eventually(t, "the sender being stopped", func() bool {
		// Long enough for many pieces, were they taken. Where the sleep itself is late,
		// the machine is busy, and nobody may have been there to take them.
		const look = 100 * time.Millisecond
		start := time.Now()
		time.Sleep(look)
		before := n
		n = sent.Load()
		return n > 0 && n == before && time.Since(start) < look+look/2
	})
	return n
}

// TestHTTP1BackPressure checks that a reader that does not read stops the
// sender, in both directions, and that all arrives once it reads.
func TestHTTP1BackPressure(t *testing.T) {
	proxytest.NoLeaks(t)
	const size = 64 << 20 // more than the kernel's buffers hold
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			var sent atomic.Int64
			read := make(chan struct{})
			got := make(chan int64, 1)
			pour := func(p *proxytest.Peer) {
				piece := make([]byte, 64<<10)
				for sent.Load() < size {
					p.SetWriteDeadline(proxytest.Deadline())
					n, err := p.Write(piece)
					sent.Add(int64(n))
					if err != nil {
						p.Fail("after %d bytes: %v", sent.Load(), err)
					}
				}
			}
			drain := func(p *proxytest.Peer) {
				<-read
				p.SetReadDeadline(proxytest.Deadline())
				n, err := io.CopyN(io.Discard, p.Reader, size)
				if err != nil {
					p.Fail("after %d bytes: %v", n, err)
				}
				got <- n
			}
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				if direction == "up" {
					drain(p)
					p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				} else {
					p.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
					pour(p)
				}
				p.TryReadHead() // until the connection ends
			}))
			client := rig.Dial()
			done := make(chan struct{})
			if direction == "up" {
				client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
				go func() {
					defer close(done)
					pour(client)
				}()
			} else {
				client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				client.ReadHead()
				go func() {
					defer close(done)
					drain(client)
				}()
			}
			if stuck := stopped(t, &sent); stuck >= size {
				t.Errorf("the sender was not stopped: %d bytes went out", stuck)
			}
			close(read)
			if n := <-got; n != size {
				t.Errorf("%d bytes arrived, want %d", n, size)
			}
			<-done
			if direction == "up" {
				client.ReadOK()
			}
		})
	}
}

// TestHTTP1ResponseMovesAsItComes checks that nothing is held back: each piece
// of both bodies is there before the next one is sent.
func TestHTTP1PiecesMoveAsTheyCome(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			const turns = 50
			head, piece, last := fmt.Sprintf("Content-Length: %d", turns*4), func(i int) string { return fmt.Sprintf("%04d", i) }, ""
			if framing == "chunked" {
				head, last = "Transfer-Encoding: chunked", "0\r\n\r\n"
				piece = func(i int) string { return fmt.Sprintf("4\r\n%04d\r\n", i) }
			}
			after := func(p *proxytest.Peer) {
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				p.ReadRest()
			}
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
				if n > 0 { // the upload was seen to end too late for the first one to be kept
					after(p)
					return
				}
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\n", head, "\r\n\r\n")
				for i := range turns {
					p.Expect(strings.TrimSuffix(piece(i), "\r\n"))
					p.Send(piece(i))
					if framing == "chunked" {
						p.Expect("\r\n")
					}
				}
				p.Expect(last)
				p.Send(last)
				if _, err := p.TryReadHead(); err == nil {
					p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					p.ReadRest()
				}
			}))
			client := rig.Dial()
			client.Send("POST / HTTP/1.1\r\nHost: a\r\n", head, "\r\n\r\n")
			if first, _ := client.ReadHead(); first != "HTTP/1.1 200 OK" {
				t.Fatal(first)
			}
			for i := range turns {
				client.Send(piece(i))
				client.Expect(piece(i))
			}
			client.Send(last)
			client.Expect(last)
			// And the connection goes on.
			client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			client.ReadOK()
		})
	}
}

// TestHTTP1EarlyResponse has an endpoint answer before it has read the request,
// which the client goes on sending.
func TestHTTP1EarlyResponse(t *testing.T) {
	proxytest.NoLeaks(t)
	const size = 32 << 20 // more than the kernel's buffers hold
	const answer = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large"
	tests := []struct {
		name string
		end  func(p *proxytest.Peer) // what the endpoint does after its answer
	}{
		{"and closes", func(p *proxytest.Peer) {}},
		{"and resets", func(p *proxytest.Peer) {
			p.CloseWrite()
			p.TryReadHead() // a part of the content
			p.Reset()
		}},
		{"and does not read", nil},
		{"and reads on", func(p *proxytest.Peer) { p.ReadRest() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			up := proxytest.NewSource(size)
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.ReadN(10)
				if tt.end == nil {
					stopped(t, &up.Sent)
					p.Send(answer)
					<-over
					return
				}
				p.Send(answer)
				tt.end(p)
			}))
			defer close(over)
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n", field, size))
			// All of the content, before it looks at the answer.
			client.SetWriteDeadline(proxytest.Deadline())
			if n, err := io.Copy(client, up); err != nil {
				t.Fatalf("sending, after %d bytes: %v", n, err)
			}
			resp, body := client.ReadResponse("POST")
			if resp.StatusCode != 413 || body != "too large" {
				t.Errorf("status %d, %q", resp.StatusCode, body)
			}
			client.ExpectEnd()
			if h := rig.Hop(trace); h.Status != 413 || h.Flags != 0 {
				t.Errorf("status %d, flags %q, %q", h.Status, h.Flags, h.Failure.Reason)
			}
		})
	}
}

// TestHTTP1EarlyResponseKeepsTheConnection: where the rest of the content is
// small, the client's connection goes on.
func TestHTTP1EarlyResponseKeepsTheConnection(t *testing.T) {
	proxytest.NoLeaks(t)
	const size, answer = 20_000, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		p.ReadHead()
		if n > 0 {
			p.Send(answer, "1")
			p.ReadRest()
			return
		}
		p.ReadN(10)
		p.Send(answer, "0")
		if _, err := io.CopyN(io.Discard, p.Reader, size-10); err != nil {
			return // the proxy has given the connection up, as it was within a request
		}
		if _, err := p.TryReadHead(); err != nil {
			return
		}
		// Or the rest had come before it looked: then the connection goes on.
		p.Send(answer, "1")
		p.ReadRest()
	}))
	client := rig.Dial()
	client.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size), strings.Repeat("x", size/2))
	if body := client.ReadOK(); body != "0" {
		t.Fatalf("body %q", body)
	}
	client.Send(strings.Repeat("x", size/2), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if body := client.ReadOK(); body != "1" {
		t.Fatalf("body %q", body)
	}
}

// TestHTTP1Aborts has one side give up in the middle of a body, and looks at
// what the other side sees of it.
func TestHTTP1Aborts(t *testing.T) {
	proxytest.NoLeaks(t)
	abort := map[string]func(p *proxytest.Peer){"close": func(p *proxytest.Peer) { p.Close() }, "reset": (*proxytest.Peer).Reset}
	framings := map[string]struct{ head, piece string }{
		"length":  {"Content-Length: 1000", "some"},
		"chunked": {"Transfer-Encoding: chunked", "4\r\nsome\r\n"},
	}
	for how, end := range abort {
		for framing, f := range framings {
			t.Run("upload, "+how+", "+framing, func(t *testing.T) {
				saw := make(chan error, 1)
				rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					saw <- err
				}))
				client := rig.Dial()
				trace, field := proxytest.NewTrace()
				client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, f.head, "\r\n\r\n", f.piece)
				client.AwaitRead()
				end(client)
				if err := <-saw; err == nil {
					t.Error("the endpoint took the request for whole")
				}
				if h := rig.Hop(trace); h.Flags.String() != "DC" || h.Status != 0 {
					t.Errorf("flags %q, status %d; want DC, 0: %s", h.Flags, h.Status, h.Failure.Reason)
				}
			})
			t.Run("download, "+how+", "+framing, func(t *testing.T) {
				cut := make(chan struct{})
				rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.ReadHead()
					p.Send("HTTP/1.1 200 OK\r\n", f.head, "\r\n\r\n", f.piece)
					<-cut
					end(p)
				}))
				trace, field := proxytest.NewTrace()
				_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
				req, _ := http.NewRequest("GET", "http://"+rig.Ingress()+"/", nil)
				req.Header.Set("traceparent", tp)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				close(cut)
				if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "some" {
					t.Errorf("the client got %q, %v: it must see that this is not all", body, err)
				}
				want := map[string]string{"close": "UC", "reset": "UR"}[how]
				h := rig.Hop(trace)
				if h.Flags.String() != want || h.Status != 200 || h.Attempts[0].Flags.String() != want {
					t.Errorf("flags %q, of the attempt %q, status %d; want %s, 200", h.Flags, h.Attempts[0].Flags, h.Status, want)
				}
			})
			t.Run("upload that the endpoint breaks off, "+how+", "+framing, func(t *testing.T) {
				rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.ReadHead()
					p.ReadN(1)
					end(p)
				}))
				client := rig.Dial()
				trace, field := proxytest.NewTrace()
				client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, f.head, "\r\n\r\n", f.piece)
				if resp, body := client.ReadResponse("POST"); resp.StatusCode != 503 || !resp.Close {
					t.Errorf("status %d, close %v: %s", resp.StatusCode, resp.Close, body)
				}
				client.ExpectEnd()
				h := rig.Hop(trace)
				if flags := h.Flags.String(); flags != "UC" && flags != "UR" || len(h.Attempts) != 1 || h.BytesIn != 4 {
					t.Errorf("flags %q, %d attempts, %d bytes in", flags, len(h.Attempts), h.BytesIn)
				}
			})
			t.Run("client gone while it waits, "+how+", "+framing, func(t *testing.T) {
				gone := make(chan struct{})
				rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.ReadHead()
					p.Send("HTTP/1.1 200 OK\r\n", f.head, "\r\n\r\n", f.piece)
					p.ReadRest() // until the proxy gives up
					close(gone)
				}), proxytest.AbortOnClose)
				client := rig.Dial()
				trace, field := proxytest.NewTrace()
				client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
				client.ReadHead()
				end(client)
				select {
				case <-gone:
				case <-time.After(proxytest.Patience):
					t.Fatal("the endpoint was not told")
				}
				if h := rig.Hop(trace); h.Flags.String() != "DC" || h.Status != 200 {
					t.Errorf("flags %q, status %d; want DC, 200", h.Flags, h.Status)
				}
			})
		}
	}
}

// TestHTTP1ClientGoneBeforeTheAnswer: the endpoint need not go on for a client
// that went away.
func TestHTTP1ClientGoneBeforeTheAnswer(t *testing.T) {
	proxytest.NoLeaks(t)
	told := make(chan struct{})
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(told)
	}), proxytest.AbortOnClose)
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", rig.Ingress())
	if err != nil {
		t.Fatal(err)
	}
	trace, field := proxytest.NewTrace()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", field)
	conn.Close()
	cancel()
	select {
	case <-told:
	case <-time.After(proxytest.Patience):
		t.Fatal("the endpoint was not told")
	}
	h := rig.Hop(trace)
	if h.Flags.String() != "DC" || h.Status != 0 || len(h.Attempts) != 1 {
		t.Errorf("flags %q, status %d, %d attempts; want DC, 0, 1", h.Flags, h.Status, len(h.Attempts))
	}
}

// TestHTTP1SlowReaderDoesNotStopOthers: exchanges on other connections go on.
func TestHTTP1SlowReaderDoesNotStopOthers(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.Copy(w, proxytest.NewSource(64<<20))
			return
		}
		io.WriteString(w, "small")
	}))
	slow := rig.Dial()
	slow.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
	slow.ReadHead()
	for range 20 {
		quick := rig.Dial()
		quick.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if body := quick.ReadOK(); body != "small" {
			t.Fatalf("body %q", body)
		}
	}
}
