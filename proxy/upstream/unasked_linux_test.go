package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

const (
	asked     = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked"
	unasked   = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked"
	noContent = "HTTP/1.1 204 No Content\r\n\r\n"
)

// talker is an endpoint that answers each request with the next of its answers, and
// then with the last again. Each is one segment.
type talker struct {
	address string
	conns   chan net.Conn // those that were accepted
}

func newTalker(t *testing.T, config *tls.Config, answers ...string) *talker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &talker{address: l.Addr().String(), conns: make(chan net.Conn, 100)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if config != nil {
				c = tls.Server(&segments{Conn: c}, config)
			}
			e.conns <- c
			go talk(c, answers)
		}
	}()
	t.Cleanup(func() { l.Close() })
	return e
}

// talk serves one connection.
func talk(c net.Conn, answers []string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for i := 0; ; i++ {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, request.Body)
		whole := strings.Split(answers[min(i, len(answers)-1)], "|")
		for _, record := range whole {
			if tc, ok := c.(*tls.Conn); ok {
				tc.NetConn().(*segments).hold = record != whole[len(whole)-1]
			}
			if _, err := io.WriteString(c, record); err != nil {
				return
			}
		}
	}
}

// segments is a connection that may hold back what is written, to be sent as one
// with what comes next.
type segments struct {
	net.Conn
	hold bool
	held []byte
}

func (s *segments) Write(b []byte) (int, error) {
	s.held = append(s.held, b...)
	if s.hold {
		return len(b), nil
	}
	_, err := s.Conn.Write(s.held)
	s.held = s.held[:0]
	return len(b), err
}

// ask makes a request on c and reads the whole response.
func ask(t *testing.T, c *Conn, content string) (string, error) {
	t.Helper()
	text := "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
	if content != "" {
		text = fmt.Sprintf("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n", len(content))
	}
	var request, response message.Head
	var decoder http1.HeadDecoder
	if _, err := decoder.Request([]byte(text), &request); err != nil {
		t.Fatal(err)
	}
	c.Await(c.nio.Now(), c.nio.Now()+patience, 0)
	if _, _, err := c.RoundTrip(&request, []byte(content), &response); err != nil {
		return "", err
	}
	var body []byte
	for {
		piece, done, err := c.Body()
		body = append(body, piece...)
		if done || err != nil {
			return string(body), err
		}
		if len(piece) > 0 {
			continue
		}
		if _, err := c.More(); err != nil {
			return string(body), err
		}
	}
}

// arrives waits until something waits in the socket of c.
func arrives(t *testing.T, c *Conn) {
	t.Helper()
	raw, err := c.nio.NetConn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "bytes in the socket", func() bool {
		n := 0
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		return n > 0
	})
}

// ways are how endpoints are spoken to.
var ways = []struct {
	name string
	make func(t *testing.T, answers ...string) (*talker, *Group)
}{
	{"plain", func(t *testing.T, answers ...string) (*talker, *Group) {
		g := newTestGroup(t, nil)
		return newTalker(t, nil, answers...), g
	}},
	{"tls", func(t *testing.T, answers ...string) (*talker, *Group) {
		s := newServerTLS(t, offering("http/1.1"))
		g := newGroupTLS(t, s, HTTP1, nil)
		return newTalker(t, &tls.Config{Certificates: s.TLS.Certificates}, answers...), g
	}},
}

// TestUnaskedResponseLater has an endpoint send a second response right after the
// first, and the next request made before anybody looks at the connection: its
// response must not be that one, whether the right one comes as well or not.
func TestUnaskedResponseLater(t *testing.T) {
	for _, w := range ways {
		for _, second := range []string{asked, ""} {
			t.Run(fmt.Sprintf("%s, then %q", w.name, second), func(t *testing.T) {
				notesTimes(t)
				endpoint, g := w.make(t, asked, second)
				e := g.Endpoint(endpoint.address)
				for range 5 {
					c := g.get(t, e)
					far := <-endpoint.conns
					if got, err := ask(t, c, ""); got != "asked" || err != nil {
						t.Fatalf("%q, %v", got, err)
					}
					c.giveBack()
					if e.State().Idle != 1 {
						t.Fatal("the connection was not kept")
					}
					go io.WriteString(far, unasked)
					arrives(t, c)
					s, err := g.Acquire(context.Background(), e, c.idleSince+time.Microsecond, 0, false)
					if err != nil || s != c {
						t.Fatalf("another connection, or %v", err)
					}
					got, err := ask(t, c, "")
					if kindOf(err) != fault.UpstreamClosed || !strings.Contains(err.Error(), "without a request") {
						t.Errorf("the response is %q, %v", got, err)
					}
					c.Release(c.nio.Now(), false)
				}
			})
		}
	}
}

// TestUnaskedResponseLooked has the connection looked at, as for a request that
// can't be sent twice, or after a response without content.
func TestUnaskedResponseLooked(t *testing.T) {
	cases := []struct {
		name, first string
		careful     bool
	}{
		{"a POST", asked, true},
		{"after 204", noContent, false},
	}
	for _, w := range ways {
		for _, tc := range cases {
			t.Run(w.name+" "+tc.name, func(t *testing.T) {
				endpoint, g := w.make(t, tc.first)
				e := g.Endpoint(endpoint.address)
				c := g.get(t, e)
				far := <-endpoint.conns
				if _, err := ask(t, c, "content"); err != nil {
					t.Fatal(err)
				}
				c.giveBack()
				go io.WriteString(far, unasked)
				arrives(t, c)
				s, err := g.Acquire(context.Background(), e, c.idleSince, 0, tc.careful)
				if err != nil || s == c {
					t.Fatalf("the same connection, or %v", err)
				}
				s.Release(c.nio.Now(), false)
			})
		}
	}
}

// TestUnaskedResponseInTheSegment has it sent with the first one: in a TLS record of
// its own, in the same one, or in plain text.
func TestUnaskedResponseInTheSegment(t *testing.T) {
	for _, w := range ways {
		for _, answers := range []string{asked + unasked, asked + "|" + unasked, noContent + unasked, noContent + "|" + unasked} {
			t.Run(w.name, func(t *testing.T) {
				if w.name == "plain" {
					answers = strings.ReplaceAll(answers, "|", "")
				}
				endpoint, g := w.make(t, answers)
				e := g.Endpoint(endpoint.address)
				c := g.get(t, e)
				want := "asked"
				if strings.HasPrefix(answers, noContent) {
					want = ""
				}
				if got, err := ask(t, c, ""); got != want || err != nil {
					t.Fatalf("%q, %v", got, err)
				}
				c.giveBack()
				if n := e.State().Idle; n != 0 {
					t.Errorf("%d connections were kept", n)
				}
			})
		}
	}
}

// TestTwoResponsesAtOnce has both come to the second request: which of them answers
// it nobody can tell.
func TestTwoResponsesAtOnce(t *testing.T) {
	endpoint, g := ways[0].make(t, asked, unasked+asked)
	e := g.Endpoint(endpoint.address)
	c := g.get(t, e)
	if _, err := ask(t, c, ""); err != nil {
		t.Fatal(err)
	}
	c.giveBack()
	c = g.get(t, e)
	if got, err := ask(t, c, ""); kindOf(err) != fault.UpstreamClosed {
		t.Errorf("%q, %v", got, err)
	}
	c.Release(c.nio.Now(), false)
}

// notesTimes has the kernel note when bytes arrive for as long as the test runs: it
// begins to a moment after the first socket asks for it, and ends after the last.
func notesTimes(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	c := netio.New(near, netio.NewShared())
	c.Stamp()
	eventually(t, "times are noted", func() bool {
		far.Write([]byte("x"))
		c.Doubt()
		c.Await(c.Now(), c.Now()+patience)
		_, err := c.Exchange([]byte("y"), nil)
		c.Consume(len(c.Buffered()))
		return errors.Is(err, netio.ErrUnasked)
	})
}
