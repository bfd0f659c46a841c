package http2_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
)

// realClient is net/http's over HTTP/2 without TLS.
func realClient(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// realServer is net/http's.
func realServer(t testing.TB, h http.HandlerFunc) net.Conn {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// much is content that tells whether it came whole and in order.
type much struct {
	left int
	sum  hash.Hash
	next byte
}

func newMuch(n int) *much { return &much{left: n, sum: sha256.New()} }

func (m *much) Read(b []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(len(b), m.left)]
	for i := range b {
		b[i] = m.next
		m.next = m.next*5 + 1
	}
	m.left -= len(b)
	m.sum.Write(b)
	return len(b), nil
}

func (m *much) check(t testing.TB, got []byte) {
	t.Helper()
	if !bytes.Equal(m.sum.Sum(nil), got) {
		t.Error("the content is not the same")
	}
}

const large = 32 << 20

// TestRealClient posts and reads much content at the same time, on several
// streams of a connection.
func TestRealClient(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, nil)
	client := realClient(t)
	var wg sync.WaitGroup
	for i, size := range []int{large, 0, 1, 64 << 10, 1 << 20} {
		wg.Go(func() {
			m := newMuch(size)
			body := io.Reader(m)
			if i%2 == 1 {
				body = struct{ io.Reader }{m} // of a length that is not told
			}
			request, _ := http.NewRequest("POST", "http://"+s.address+"/echo", body)
			request.Trailer = http.Header{"X-Checksum": {"1"}}
			response, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			sum := sha256.New()
			if n, err := io.Copy(sum, response.Body); err != nil || int(n) != size {
				t.Errorf("%d bytes of %d came: %v", n, size, err)
			}
			m.check(t, sum.Sum(nil))
			if size > 0 && response.Trailer.Get("X-Checksum") != "1" {
				t.Errorf("the trailers are %v", response.Trailer)
			}
		})
	}
	wg.Wait()
}

// TestManyRealRequests use streams again and again.
func TestManyRealRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, nil)
	client := realClient(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for k := range 50 {
				path := fmt.Sprintf("/%d/%d", i, k)
				response, err := client.Post("http://"+s.address+path, "text/plain", bytes.NewReader([]byte(path)))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || string(got) != path || response.Header.Get("X-Path") != path {
					t.Errorf("%s came back as %q and %q: %v", path, got, response.Header.Get("X-Path"), err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCancelledRealRequests reach those that serve them.
func TestCancelledRealRequests(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(200, -1), false)
		s.Flush()
		_, err := s.Read()
		errs <- err
	}, nil)
	reader, writer := io.Pipe()
	defer writer.Close()
	request, _ := http.NewRequest("POST", "http://"+s.address, reader)
	response, err := realClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := <-errs; kindOf(err) != fault.ClientReset {
		t.Error(err)
	}
}

// TestRealServer is sent much, and sends it back at the same time.
func TestRealServer(t *testing.T) {
	t.Parallel()
	nc := realServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
		w.Header().Set("X-Checksum", "1")
	})
	c := newClient(t, nc, nil)
	var wg sync.WaitGroup
	for _, size := range []int{large, 0, 1, 64 << 10, 1 << 20} {
		s, ok := c.Open()
		if !ok {
			t.Fatal("no room for a stream")
		}
		wg.Go(func() {
			defer s.Close()
			m := newMuch(size)
			r := request("POST", "/")
			r.Framing, r.Length = message.Chunked, -1
			if err := s.WriteHead(r, false); err != nil {
				t.Error(err)
				return
			}
			var sending sync.WaitGroup
			sending.Go(func() {
				b := make([]byte, 50000)
				for {
					n, err := m.Read(b)
					if err != nil {
						break
					}
					if err := s.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
				}
				s.End(nil)
				s.Flush()
			})
			var h message.Head
			if err := s.ReadHead(&h); err != nil || h.Status != 200 {
				t.Errorf("status %d, %v", h.Status, err)
			}
			sum := sha256.New()
			io.WriteString(sum, content(t, s))
			sending.Wait()
			m.check(t, sum.Sum(nil))
			if s.Trailers() == nil {
				t.Error("there are no trailers")
			}
		})
	}
	wg.Wait()
}

// TestRealServerAnswers a few kinds of requests.
func TestRealServerAnswers(t *testing.T) {
	t.Parallel()
	c := newClient(t, realServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/304":
			w.WriteHeader(304)
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			fallthrough
		default:
			fmt.Fprint(w, r.Method, " ", r.Host, r.URL.Path, " ", r.Header.Get("Cookie"))
		}
	}), nil)
	for _, tt := range []struct {
		r      *message.Head
		status int
		want   string
	}{
		{request("GET", "/a", "Cookie", "a=1; b=2"), 200, "GET web/a a=1; b=2"},
		{request("HEAD", "/a"), 200, ""},
		{request("GET", "/304"), 304, ""},
		{request("DELETE", "/x"), 200, "DELETE web/x "},
	} {
		s := c.open(t, tt.r, true)
		if got := status(t, s, tt.status); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		s.Close()
	}
	s := c.open(t, request("GET", "/early"), true)
	defer s.Close()
	var h message.Head
	if err := s.ReadHead(&h); err != nil || h.Status != 103 {
		t.Errorf("status %d, %v", h.Status, err)
	}
	status(t, s, 200)
}

// TestTLS carries much content both ways through TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert := httptest.NewTLSServer(nil) // for its certificate
	defer cert.Close()
	s := serve(t, nil, nil)
	var conn *http2.Conn
	tr := cert.Client().Transport.(*http.Transport).Clone()
	tr.ForceAttemptHTTP2 = true
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := pipe(t)
		conn = s.attach(tls.Server(near, &tls.Config{Certificates: cert.TLS.Certificates, NextProtos: []string{"h2"}}), answer)
		return far, nil
	}
	defer tr.CloseIdleConnections()
	m := newMuch(8 << 20)
	response, err := (&http.Client{Transport: tr}).Post("https://example.com/", "text/plain", struct{ io.Reader }{m})
	if err != nil {
		t.Fatalf("%v; the server ended with: %v", err, <-s.ends)
	}
	defer response.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, response.Body); err != nil || response.ProtoMajor != 2 {
		t.Errorf("%s, %v", response.Proto, err)
	}
	m.check(t, sum.Sum(nil))
	conn.Shutdown()
	s.ended(t, fault.None)
}

// TestBothSides joins a client with a server of this package, over a connection
// that is no socket.
func TestBothSides(t *testing.T) {
	t.Parallel()
	near, far := memory()
	s := serve(t, nil, nil)
	s.attach(near, answer)
	c := newClient(t, far, nil)
	for range 3 {
		st := c.open(t, request("POST", "/"), false)
		if err := st.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		st.End(nil)
		st.Flush()
		if got := status(t, st, 200); got != "hello" {
			t.Errorf("got %q", got)
		}
		st.Close()
	}
	c.Shutdown()
	checkEnd(t, c.ends, fault.None)
	s.ended(t, fault.None)
}
