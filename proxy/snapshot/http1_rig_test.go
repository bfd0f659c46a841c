package snapshot_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// patience is how long a test waits for what must happen. Nothing is measured
// by it: it ends tests that hang.
const patience = time.Minute

// timeLimit is the deadline of what begins now.
func timeLimit() time.Time { return time.Now().Add(patience) }

// settings is what a test may change of a proxy: a listener in front of one
// cluster, and a forward proxy.
type settings struct {
	Listener config.Listener
	Route    config.Route
	Cluster  config.Cluster
	Egress   config.Listener
	Config   *config.Config
	Filters  []filter.Filter // of every listener, before its own; startLab has them
}

// ownAddress is an address to listen on, on a loopback address that no other test has,
// this process's or another's. A port that one test gives up is soon another's, and
// whoever still connects to it, such as a proxy whose endpoint was killed, would reach a
// stranger, which counts each of its requests.
func ownAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254))
}

// hostOf is the host of an address.
func hostOf(t testing.TB, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// rig is a running proxy.
type rig struct {
	t         *testing.T
	proxy     *snapshot.Proxy
	collector *collector // of its spans; nil where the test has no own
	path      string     // of the access log
	said      *words     // the proxy's own log
}

// startProxy runs a proxy in front of the endpoints, with real sockets. It ends
// with the test, which then has left no goroutine behind.
func startProxy(t *testing.T, endpoint string, change ...func(*settings)) *rig {
	t.Helper()
	s := settings{
		Listener: config.NewListener("ingress", ownAddress()), Route: config.NewRoute("web"),
		Cluster: config.NewCluster(endpoint), Egress: config.NewListener("egress", ownAddress()), Config: config.New(),
	}
	s.Egress.Direction, s.Egress.ForwardProxy = "outbound", config.NewForwardProxy()
	for _, f := range change {
		f(&s)
	}
	s.Listener.Routes = append(s.Listener.Routes, s.Route)
	c := s.Config
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "web", "off", "off"
	c.Listeners = []config.Listener{s.Listener, s.Egress}
	c.Clusters["web"] = s.Cluster
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, proxy: p}
	t.Cleanup(func() { r.close(0) })
	return r
}

// close ends the proxy; what is in flight has the given time.
func (r *rig) close(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := r.proxy.Close(ctx); err != nil {
		r.t.Errorf("closing the proxy: %v", err)
	}
}

// noLeaks checks, when all else of the test has ended, that no goroutine is
// left. It is called first.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before)
	})
}

func (r *rig) ingress() string { return r.proxy.Addr("ingress").String() }
func (r *rig) egress() string  { return r.proxy.Addr("egress").String() }

// dial connects to the proxy.
func (r *rig) dial() *peer { return dialPeer(r.t, r.ingress()) }

// hops waits until there are n hops of a trace, and returns them in the order
// in which they ended.
func (r *rig) hops(trace hop.TraceID, n int) []*hop.Hop {
	r.t.Helper()
	var found []*hop.Hop
	eventually(r.t, fmt.Sprintf("%d hops of trace %s", n, trace), func() bool {
		r.flush()
		found = r.proxy.Store().Trace(trace)
		return len(found) >= n
	})
	if len(found) > n {
		r.t.Fatalf("trace %s has %d hops, want %d", trace, len(found), n)
	}
	return found
}

// hop is the one hop of a trace.
func (r *rig) hop(trace hop.TraceID) *hop.Hop {
	r.t.Helper()
	return r.hops(trace, 1)[0]
}

// traces are those that the proxy remembers, the latest first.
func (r *rig) traces() []store.Summary {
	r.flush()
	return r.proxy.Store().Traces(store.Query{Limit: 100_000})
}

// latest waits until the proxy remembers n traces, and returns the last one's
// hop: for requests that can't name their trace.
func (r *rig) latest(n int) *hop.Hop {
	r.t.Helper()
	var found []store.Summary
	eventually(r.t, fmt.Sprintf("%d traces", n), func() bool {
		found = r.traces()
		return len(found) >= n
	})
	if len(found) > n {
		r.t.Fatalf("there are %d traces, want %d", len(found), n)
	}
	return found[0].Root
}

// flush returns when all that was recorded has been observed.
func (r *rig) flush() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.proxy.Flush(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// eventually polls until done reports true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := timeLimit(); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come about", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// newTrace returns a trace id and the field that tells the proxy of it.
func newTrace() (trace hop.TraceID, field string) {
	binary.BigEndian.PutUint64(trace[:], rand.Uint64()|1)
	binary.BigEndian.PutUint64(trace[8:], rand.Uint64())
	return trace, "traceparent: 00-" + trace.String() + "-00f067aa0ba902b7-01\r\n"
}

// peer is one end of a connection, with deadlines on all that it does.
type peer struct {
	*net.TCPConn
	r    *bufio.Reader
	t    testing.TB
	fail func(format string, args ...any)
}

func newPeer(t testing.TB, c net.Conn) *peer {
	return &peer{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c), t: t, fail: t.Fatalf}
}

func dialPeer(t testing.TB, address string) *peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newPeer(t, c)
}

// send writes all of it.
func (p *peer) send(parts ...string) {
	p.t.Helper()
	p.SetWriteDeadline(timeLimit())
	if _, err := p.Write([]byte(strings.Join(parts, ""))); err != nil {
		p.fail("sending %.100q: %v", parts, err)
	}
}

// read returns exactly n bytes.
func (p *peer) read(n int) string {
	p.t.Helper()
	p.SetReadDeadline(timeLimit())
	b := make([]byte, n)
	if m, err := io.ReadFull(p.r, b); err != nil {
		p.fail("reading %d bytes: %v after %.200q", n, err, b[:m])
	}
	return string(b)
}

// expect reads what must come next, byte for byte.
func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.read(len(want)); got != want {
		p.fail("received %q, want %q", got, want)
	}
}

// head reads to the end of a head: its first line and its fields, without
// "\r\n".
func (p *peer) head() (first string, fields []string) {
	p.t.Helper()
	lines, err := p.tryHead()
	if err != nil {
		p.fail("reading a head: %v after %q", err, lines)
	}
	return lines[0], lines[1:]
}

func (p *peer) tryHead() (lines []string, err error) {
	p.SetReadDeadline(timeLimit())
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return append(lines, line), err
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

// response reads a response to a request of the method, with its content.
func (p *peer) response(method string) (*http.Response, string) {
	p.t.Helper()
	p.SetReadDeadline(timeLimit())
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.fail("reading a response: %v", err)
		return new(http.Response), "" // fail may go on
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.fail("reading a response's content: %v after %.200q", err, body)
	}
	return resp, string(body)
}

// ok reads a response of 200 and returns its content.
func (p *peer) ok() string {
	p.t.Helper()
	resp, body := p.response("GET")
	if resp.StatusCode != 200 {
		p.fail("status %d, want 200: %q", resp.StatusCode, body)
	}
	return body
}

// rest reads until the connection ends, and says how it does: nil is in good
// order.
func (p *peer) rest() (string, error) {
	p.SetReadDeadline(timeLimit())
	b, err := io.ReadAll(p.r)
	return string(b), err
}

// closed expects the connection to end in good order without another byte.
func (p *peer) closed() {
	p.t.Helper()
	if rest, err := p.rest(); rest != "" || err != nil {
		p.fail("received %.200q (%v), want the end of the connection", rest, err)
	}
}

// taken waits until the other end has read all that was sent, so that what
// follows comes in another piece.
func (p *peer) taken() {
	p.t.Helper()
	local, remote := p.LocalAddr().(*net.TCPAddr), p.RemoteAddr().(*net.TCPAddr)
	// Its socket's line in /proc/net/tcp: the two addresses, then the queues.
	line := fmt.Sprintf(": %s %s 01 00000000:00000000 ", procAddr(remote), procAddr(local))
	eventually(p.t, "the other end reading", func() bool {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			p.t.Skip("no /proc/net/tcp here")
		}
		return strings.Contains(string(table), line)
	})
}

// procAddr is an IPv4 address as /proc/net/tcp has it, on a little-endian
// machine.
func procAddr(a *net.TCPAddr) string {
	return fmt.Sprintf("%08X:%04X", binary.LittleEndian.Uint32(a.IP.To4()), a.Port)
}

// reset closes the connection with a reset.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

// value is the first value of a field among lines of "Name: value".
func value(fields []string, name string) string {
	for _, f := range fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// endpoint runs a server each of whose connections is served by handle; n
// counts them from 0. It returns its address. The connection is closed when
// handle returns.
func endpoint(t *testing.T, handle func(n int, p *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			p := newPeer(t, c)
			p.fail = func(format string, args ...any) {
				t.Errorf("endpoint, connection %d: "+format, append([]any{n}, args...)...)
				runtime.Goexit()
			}
			wg.Go(func() {
				defer c.Close()
				handle(n, p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// answering is an endpoint that reads heads without content, and sends what
// answer makes of each, until it makes nothing.
func answering(t *testing.T, answer func(first string, fields []string) string) string {
	return endpoint(t, func(_ int, p *peer) {
		for {
			lines, err := p.tryHead()
			if err != nil {
				return
			}
			text := answer(lines[0], lines[1:])
			if text == "" {
				return
			}
			p.send(text)
		}
	})
}

// goServer runs Go's own server as an endpoint.
func goServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// pattern returns n bytes, at most a MiB, of which each stretch is different
// from the others.
func pattern(n int) string { return mebibyte()[:n] }

var mebibyte = sync.OnceValue(func() string {
	const size = 1 << 20
	b := make([]byte, 0, size+16)
	for i := 0; len(b) < size; i++ {
		b = append(strconv.AppendInt(b, int64(i), 16), '.')
	}
	return string(b[:size])
})

// descriptors is how many files the process has open.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	return len(entries)
}

// echo answers with the path and the content of the request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s", r.URL.Path, body)
}
