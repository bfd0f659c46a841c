package snapshot_test

import (
	"context"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

// source is so many bytes, hashed on the way. They repeat after a stretch that
// has no length in common with any buffer.
type source struct {
	left  int64
	text  []byte
	at    int
	total hash.Hash64
	sent  atomic.Int64
}

func newSource(size int64) *source {
	return &source{left: size, text: []byte(pattern(99_991)), total: xxhash.New()}
}

func (s *source) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), s.left)], s.text[s.at:])
	s.total.Write(b[:n])
	s.left -= int64(n)
	s.sent.Add(int64(n))
	s.at = (s.at + n) % len(s.text)
	return n, nil
}

// TestHTTP1BodiesAreBounded streams much both ways at once and looks at how
// much memory that takes.
func TestHTTP1BodiesAreBounded(t *testing.T) {
	noLeaks(t)
	const size = 256 << 20
	if testing.Short() {
		t.Skip("256 MiB each way")
	}
	rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.Body}, make([]byte, 64<<10))
	}))
	for _, length := range []int64{size, -1} {
		t.Run(fmt.Sprint("length ", length), func(t *testing.T) {
			var before, during runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			up := newSource(size)
			trace, field := newTrace()
			req, _ := http.NewRequest("POST", "http://"+rig.ingress()+"/", io.NopCloser(up))
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
			if down.Sum64() != up.total.Sum64() {
				t.Error("what came back is not what was sent")
			}
			// The client and the endpoint are in this process too, and garbage is.
			if grown := int64(most) - int64(before.HeapInuse); grown > 16<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			h := rig.hop(trace)
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
	eventually(t, "the sender being stopped", func() bool {
		time.Sleep(100 * time.Millisecond) // long enough for many pieces, were they taken
		before := n
		n = sent.Load()
		return n > 0 && n == before
	})
	return n
}

// TestHTTP1BackPressure checks that a reader that does not read stops the
// sender, in both directions, and that all arrives once it reads.
func TestHTTP1BackPressure(t *testing.T) {
	noLeaks(t)
	const size = 64 << 20 // more than the kernel's buffers hold
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			var sent atomic.Int64
			read := make(chan struct{})
			got := make(chan int64, 1)
			pour := func(p *peer) {
				piece := make([]byte, 64<<10)
				for sent.Load() < size {
					p.SetWriteDeadline(timeLimit())
					n, err := p.Write(piece)
					sent.Add(int64(n))
					if err != nil {
						p.fail("after %d bytes: %v", sent.Load(), err)
					}
				}
			}
			drain := func(p *peer) {
				<-read
				p.SetReadDeadline(timeLimit())
				n, err := io.CopyN(io.Discard, p.r, size)
				if err != nil {
					p.fail("after %d bytes: %v", n, err)
				}
				got <- n
			}
			rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
				p.head()
				if direction == "up" {
					drain(p)
					p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				} else {
					p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
					pour(p)
				}
				p.tryHead() // until the connection ends
			}))
			client := rig.dial()
			done := make(chan struct{})
			if direction == "up" {
				client.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
				go func() {
					defer close(done)
					pour(client)
				}()
			} else {
				client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				client.head()
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
				client.ok()
			}
		})
	}
}

// TestHTTP1ResponseMovesAsItComes checks that nothing is held back: each piece
// of both bodies is there before the next one is sent.
func TestHTTP1PiecesMoveAsTheyCome(t *testing.T) {
	noLeaks(t)
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			const turns = 50
			head, piece, last := fmt.Sprintf("Content-Length: %d", turns*4), func(i int) string { return fmt.Sprintf("%04d", i) }, ""
			if framing == "chunked" {
				head, last = "Transfer-Encoding: chunked", "0\r\n\r\n"
				piece = func(i int) string { return fmt.Sprintf("4\r\n%04d\r\n", i) }
			}
			after := func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				p.rest()
			}
			rig := startProxy(t, endpoint(t, func(n int, p *peer) {
				if n > 0 { // the upload was seen to end too late for the first one to be kept
					after(p)
					return
				}
				p.head()
				p.send("HTTP/1.1 200 OK\r\n", head, "\r\n\r\n")
				for i := range turns {
					p.expect(strings.TrimSuffix(piece(i), "\r\n"))
					p.send(piece(i))
					if framing == "chunked" {
						p.expect("\r\n")
					}
				}
				p.expect(last)
				p.send(last)
				if _, err := p.tryHead(); err == nil {
					p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					p.rest()
				}
			}))
			client := rig.dial()
			client.send("POST / HTTP/1.1\r\nHost: a\r\n", head, "\r\n\r\n")
			if first, _ := client.head(); first != "HTTP/1.1 200 OK" {
				t.Fatal(first)
			}
			for i := range turns {
				client.send(piece(i))
				client.expect(piece(i))
			}
			client.send(last)
			client.expect(last)
			// And the connection goes on.
			client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			client.ok()
		})
	}
}

// TestHTTP1EarlyResponse has an endpoint answer before it has read the request,
// which the client goes on sending.
func TestHTTP1EarlyResponse(t *testing.T) {
	noLeaks(t)
	const size = 32 << 20 // more than the kernel's buffers hold
	const answer = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large"
	tests := []struct {
		name string
		end  func(p *peer) // what the endpoint does after its answer
	}{
		{"and closes", func(p *peer) {}},
		{"and resets", func(p *peer) {
			p.CloseWrite()
			p.tryHead() // a part of the content
			p.reset()
		}},
		{"and does not read", nil},
		{"and reads on", func(p *peer) { p.rest() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			up := newSource(size)
			rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
				p.head()
				p.read(10)
				if tt.end == nil {
					stopped(t, &up.sent)
					p.send(answer)
					<-over
					return
				}
				p.send(answer)
				tt.end(p)
			}))
			defer close(over)
			client := rig.dial()
			trace, field := newTrace()
			client.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n", field, size))
			// All of the content, before it looks at the answer.
			client.SetWriteDeadline(timeLimit())
			if n, err := io.Copy(client, up); err != nil {
				t.Fatalf("sending, after %d bytes: %v", n, err)
			}
			resp, body := client.response("POST")
			if resp.StatusCode != 413 || body != "too large" {
				t.Errorf("status %d, %q", resp.StatusCode, body)
			}
			client.closed()
			if h := rig.hop(trace); h.Status != 413 || h.Flags != 0 {
				t.Errorf("status %d, flags %q, %q", h.Status, h.Flags, h.Failure.Reason)
			}
		})
	}
}

// TestHTTP1EarlyResponseKeepsTheConnection: where the rest of the content is
// small, the client's connection goes on.
func TestHTTP1EarlyResponseKeepsTheConnection(t *testing.T) {
	noLeaks(t)
	const size, answer = 20_000, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
	rig := startProxy(t, endpoint(t, func(n int, p *peer) {
		p.head()
		if n > 0 {
			p.send(answer, "1")
			p.rest()
			return
		}
		p.read(10)
		p.send(answer, "0")
		if _, err := io.CopyN(io.Discard, p.r, size-10); err != nil {
			return // the proxy has given the connection up, as it was within a request
		}
		if _, err := p.tryHead(); err != nil {
			return
		}
		// Or the rest had come before it looked: then the connection goes on.
		p.send(answer, "1")
		p.rest()
	}))
	client := rig.dial()
	client.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size), strings.Repeat("x", size/2))
	if body := client.ok(); body != "0" {
		t.Fatalf("body %q", body)
	}
	client.send(strings.Repeat("x", size/2), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if body := client.ok(); body != "1" {
		t.Fatalf("body %q", body)
	}
}

// TestHTTP1Aborts has one side give up in the middle of a body, and looks at
// what the other side sees of it.
func TestHTTP1Aborts(t *testing.T) {
	noLeaks(t)
	abort := map[string]func(p *peer){"close": func(p *peer) { p.Close() }, "reset": (*peer).reset}
	framings := map[string]struct{ head, piece string }{
		"length":  {"Content-Length: 1000", "some"},
		"chunked": {"Transfer-Encoding: chunked", "4\r\nsome\r\n"},
	}
	for how, end := range abort {
		for framing, f := range framings {
			t.Run("upload, "+how+", "+framing, func(t *testing.T) {
				saw := make(chan error, 1)
				rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					saw <- err
				}))
				client := rig.dial()
				trace, field := newTrace()
				client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, f.head, "\r\n\r\n", f.piece)
				client.taken()
				end(client)
				if err := <-saw; err == nil {
					t.Error("the endpoint took the request for whole")
				}
				if h := rig.hop(trace); h.Flags.String() != "DC" || h.Status != 0 {
					t.Errorf("flags %q, status %d; want DC, 0: %s", h.Flags, h.Status, h.Failure.Reason)
				}
			})
			t.Run("download, "+how+", "+framing, func(t *testing.T) {
				cut := make(chan struct{})
				rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
					p.head()
					p.send("HTTP/1.1 200 OK\r\n", f.head, "\r\n\r\n", f.piece)
					<-cut
					end(p)
				}))
				trace, field := newTrace()
				_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
				req, _ := http.NewRequest("GET", "http://"+rig.ingress()+"/", nil)
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
				h := rig.hop(trace)
				if h.Flags.String() != want || h.Status != 200 || h.Attempts[0].Flags.String() != want {
					t.Errorf("flags %q, of the attempt %q, status %d; want %s, 200", h.Flags, h.Attempts[0].Flags, h.Status, want)
				}
			})
			t.Run("upload that the endpoint breaks off, "+how+", "+framing, func(t *testing.T) {
				rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
					p.head()
					p.read(1)
					end(p)
				}))
				client := rig.dial()
				trace, field := newTrace()
				client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, f.head, "\r\n\r\n", f.piece)
				if resp, body := client.response("POST"); resp.StatusCode != 503 || !resp.Close {
					t.Errorf("status %d, close %v: %s", resp.StatusCode, resp.Close, body)
				}
				client.closed()
				h := rig.hop(trace)
				if flags := h.Flags.String(); flags != "UC" && flags != "UR" || len(h.Attempts) != 1 || h.BytesIn != 4 {
					t.Errorf("flags %q, %d attempts, %d bytes in", flags, len(h.Attempts), h.BytesIn)
				}
			})
			t.Run("client gone while it waits, "+how+", "+framing, func(t *testing.T) {
				gone := make(chan struct{})
				rig := startProxy(t, endpoint(t, func(_ int, p *peer) {
					p.head()
					p.send("HTTP/1.1 200 OK\r\n", f.head, "\r\n\r\n", f.piece)
					p.rest() // until the proxy gives up
					close(gone)
				}), leavesAtOnce)
				client := rig.dial()
				trace, field := newTrace()
				client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
				client.head()
				end(client)
				select {
				case <-gone:
				case <-time.After(patience):
					t.Fatal("the endpoint was not told")
				}
				if h := rig.hop(trace); h.Flags.String() != "DC" || h.Status != 200 {
					t.Errorf("flags %q, status %d; want DC, 200", h.Flags, h.Status)
				}
			})
		}
	}
}

// TestHTTP1ClientGoneBeforeTheAnswer: the endpoint need not go on for a client
// that went away.
func TestHTTP1ClientGoneBeforeTheAnswer(t *testing.T) {
	noLeaks(t)
	told := make(chan struct{})
	rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(told)
	}), leavesAtOnce)
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", rig.ingress())
	if err != nil {
		t.Fatal(err)
	}
	trace, field := newTrace()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", field)
	conn.Close()
	cancel()
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("the endpoint was not told")
	}
	h := rig.hop(trace)
	if h.Flags.String() != "DC" || h.Status != 0 || len(h.Attempts) != 1 {
		t.Errorf("flags %q, status %d, %d attempts; want DC, 0, 1", h.Flags, h.Status, len(h.Attempts))
	}
}

// TestHTTP1SlowReaderDoesNotStopOthers: exchanges on other connections go on.
func TestHTTP1SlowReaderDoesNotStopOthers(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.Copy(w, newSource(64<<20))
			return
		}
		io.WriteString(w, "small")
	}))
	slow := rig.dial()
	slow.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
	slow.head()
	for range 20 {
		quick := rig.dial()
		quick.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if body := quick.ok(); body != "small" {
			t.Fatalf("body %q", body)
		}
	}
}
