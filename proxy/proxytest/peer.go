package proxytest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Peer is one end of a connection, with deadlines on all that it does.
type Peer struct {
	*net.TCPConn
	Reader *bufio.Reader
	T      testing.TB
	Fail   func(format string, args ...any)
}

// NewPeer is the peer at one end of a TCP connection. It fails the test at once.
func NewPeer(t testing.TB, c net.Conn) *Peer {
	return &Peer{TCPConn: c.(*net.TCPConn), Reader: bufio.NewReader(c), T: t, Fail: t.Fatalf}
}

// Dial connects to an address. The connection is closed with the test.
func Dial(t testing.TB, address string) *Peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return NewPeer(t, c)
}

// Send writes all of it.
func (p *Peer) Send(parts ...string) {
	p.T.Helper()
	p.SetWriteDeadline(Deadline())
	if _, err := p.Write([]byte(strings.Join(parts, ""))); err != nil {
		p.Fail("sending %.100q: %v", parts, err)
	}
}

// ReadN returns exactly n bytes.
func (p *Peer) ReadN(n int) string {
	p.T.Helper()
	p.SetReadDeadline(Deadline())
	b := make([]byte, n)
	if m, err := io.ReadFull(p.Reader, b); err != nil {
		p.Fail("reading %d bytes: %v after %.200q", n, err, b[:m])
	}
	return string(b)
}

// Expect reads what must come next, byte for byte.
func (p *Peer) Expect(want string) {
	p.T.Helper()
	if got := p.ReadN(len(want)); got != want {
		p.Fail("received %q, want %q", got, want)
	}
}

// ReadHead reads to the end of a head: its first line and its fields, without
// "\r\n".
func (p *Peer) ReadHead() (first string, fields []string) {
	p.T.Helper()
	lines, err := p.TryReadHead()
	if err != nil {
		p.Fail("reading a head: %v after %q", err, lines)
	}
	return lines[0], lines[1:]
}

// TryReadHead is ReadHead, but an error is returned, with what came before it.
func (p *Peer) TryReadHead() (lines []string, err error) {
	p.SetReadDeadline(Deadline())
	for {
		line, err := p.Reader.ReadString('\n')
		if err != nil {
			return append(lines, line), err
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

// ReadResponse reads a response to a request of the method, with its content.
func (p *Peer) ReadResponse(method string) (*http.Response, string) {
	p.T.Helper()
	p.SetReadDeadline(Deadline())
	resp, err := http.ReadResponse(p.Reader, &http.Request{Method: method})
	if err != nil {
		p.Fail("reading a response: %v", err)
		return new(http.Response), "" // fail may go on
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.Fail("reading a response's content: %v after %.200q", err, body)
	}
	return resp, string(body)
}

// ReadOK reads a response of 200 and returns its content.
func (p *Peer) ReadOK() string {
	p.T.Helper()
	resp, body := p.ReadResponse("GET")
	if resp.StatusCode != 200 {
		p.Fail("status %d, want 200: %q", resp.StatusCode, body)
	}
	return body
}

// ReadRest reads until the connection ends, and says how it does: nil is in good
// order.
func (p *Peer) ReadRest() (string, error) {
	p.SetReadDeadline(Deadline())
	b, err := io.ReadAll(p.Reader)
	return string(b), err
}

// ExpectEnd expects the connection to end in good order without another byte.
func (p *Peer) ExpectEnd() {
	p.T.Helper()
	if rest, err := p.ReadRest(); rest != "" || err != nil {
		p.Fail("received %.200q (%v), want the end of the connection", rest, err)
	}
}

// AwaitRead waits until the other end has read all that was sent, so that what
// follows comes in another piece.
func (p *Peer) AwaitRead() {
	p.T.Helper()
	local, remote := p.LocalAddr().(*net.TCPAddr), p.RemoteAddr().(*net.TCPAddr)
	// Its socket's line in /proc/net/tcp: the two addresses, then the queues.
	line := fmt.Sprintf(": %s %s 01 00000000:00000000 ", procAddr(remote), procAddr(local))
	Eventually(p.T, "the other end reading", func() bool {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			p.T.Skip("no /proc/net/tcp here")
		}
		return strings.Contains(string(table), line)
	})
}

// procAddr is an IPv4 address as /proc/net/tcp has it, on a little-endian
// machine.
func procAddr(a *net.TCPAddr) string {
	return fmt.Sprintf("%08X:%04X", binary.LittleEndian.Uint32(a.IP.To4()), a.Port)
}

// Reset closes the connection with a reset.
func (p *Peer) Reset() {
	p.SetLinger(0)
	p.Close()
}

// Field is the first value of a field among lines of "Name: value".
func Field(fields []string, name string) string {
	for _, f := range fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Ask sends a request on a connection of its own and reads the response.
func Ask(t testing.TB, address string, request ...string) *http.Response {
	t.Helper()
	p := Dial(t, address)
	defer p.Close()
	p.Send(request...)
	r, _ := p.ReadResponse(methodOf(request))
	return r
}

func methodOf(request []string) string {
	method, _, _ := strings.Cut(strings.Join(request, ""), " ")
	return method
}
