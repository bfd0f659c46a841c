package snapshot_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// drained waits until nothing is left of what was before the last reload.
func drained(r *proxytest.Proxy) {
	r.T.Helper()
	proxytest.Eventually(r.T, "the old generations drain", func() bool { return r.Live() == 1 })
}

// clients send requests all the time, none of whose requests may fail.
type clients struct {
	t       *testing.T
	address string
	stop    chan struct{}
	wg      sync.WaitGroup
	done    atomic.Int64
}

func newClients(t *testing.T, address string) *clients {
	return &clients{t: t, address: address, stop: make(chan struct{})}
}

// each runs request over and over.
func (l *clients) each(name string, request func(n int) error) {
	l.wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := request(n); err != nil {
				l.t.Errorf("%s, request %d: %v", name, n, err)
				return
			}
			l.done.Add(1)
		}
	})
}

// keptAlive is a client of HTTP/1 that uses a connection until it is told that the
// connection ends. It repeats nothing, and so sees every connection that is closed
// under a request.
func (l *clients) keptAlive() {
	var c net.Conn
	var r *bufio.Reader
	l.each("HTTP/1.1, kept alive", func(n int) (err error) {
		if c == nil {
			if c, err = net.DialTimeout("tcp", l.address, proxytest.Patience); err != nil {
				return err
			}
			conn := c
			l.t.Cleanup(func() { conn.Close() })
			r = bufio.NewReader(c)
		}
		c.SetDeadline(proxytest.Deadline())
		if _, err := fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", n); err != nil {
			return err
		}
		last, err := checkResponse(r, n)
		if last && err == nil {
			err = c.Close()
			c = nil
		}
		return err
	})
}

// once is a client of HTTP/1 that opens a connection for each request.
func (l *clients) once() {
	l.each("HTTP/1.1, once", func(n int) error {
		c, err := net.DialTimeout("tcp", l.address, proxytest.Patience)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(proxytest.Deadline())
		if _, err := fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", n); err != nil {
			return err
		}
		_, err = checkResponse(bufio.NewReader(c), n)
		return err
	})
}

func checkResponse(r *bufio.Reader, n int) (last bool, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, err
	}
	return resp.Close, checkEcho(resp, n)
}

func checkEcho(resp *http.Response, n int) error {
	body, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("/%d body", n); err != nil || resp.StatusCode != 200 || string(body) != want {
		return fmt.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
	}
	return nil
}

// multiplexed is a client of HTTP/2. It sends a request of this method again only
// where the first one can't have been processed: it had not gone out when the
// connection began to end.
func (l *clients) multiplexed() {
	transport := plainHTTP2()
	l.t.Cleanup(transport.CloseIdleConnections)
	l.each("HTTP/2", func(n int) error {
		ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/%d", l.address, n), strings.NewReader("body"))
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return checkEcho(resp, n)
	})
}

// plainHTTP2 is a client that speaks HTTP/2 without TLS.
func plainHTTP2() *http.Transport {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: &protocols}
}

// after waits until each has had that many more requests answered.
func (l *clients) after(more int64) {
	l.t.Helper()
	end := l.done.Load() + more
	proxytest.Eventually(l.t, "further requests", func() bool { return l.done.Load() >= end || l.t.Failed() })
}

// end stops the clients, and returns how many requests they had answered.
func (l *clients) end() int64 {
	close(l.stop)
	l.wg.Wait()
	return l.done.Load()
}

// streaming is an endpoint whose answers to /stream last until it is told to end
// them; it answers all else with an echo.
func streaming(t *testing.T) (address string, begun chan struct{}, finish func()) {
	begun = make(chan struct{}, 10)
	end := make(chan struct{})
	address = proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stream" {
			proxytest.Echo(w, r)
			return
		}
		io.WriteString(w, "begun, ")
		w.(http.Flusher).Flush()
		begun <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
		io.WriteString(w, "ended")
	})
	return address, begun, sync.OnceFunc(func() { close(end) })
}
