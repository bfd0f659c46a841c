package policies_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A load of clients, each of which asks one request after the other.
const (
	loadClients  = 24
	loadEach     = 42
	loadRequests = loadClients * loadEach
)

// slowShadow is a mirror's cluster that is slow, or dead.
type slowShadow struct {
	name string
	// address starts its endpoint, which answers no request before the end.
	address func(t *testing.T, up proxytest.Side, l *load) string
	// answers says that its copies are answered then.
	answers bool
}

var slowShadows = []slowShadow{
	{name: "refuses", address: func(t *testing.T, _ proxytest.Side, _ *load) string { return proxytest.RefusingAddress(t) }},
	{name: "accepts and never answers", address: func(t *testing.T, _ proxytest.Side, l *load) string {
		return proxytest.Endpoint(t, func(int, *proxytest.Peer) { <-l.end })
	}},
	{name: "reads slowly", answers: true, address: func(t *testing.T, up proxytest.Side, l *load) string {
		return serve(t, up, func(_ http.ResponseWriter, r *http.Request) {
			piece := make([]byte, 256)
			for {
				if n, _ := r.Body.Read(piece); n == 0 {
					break
				}
				select { // the load goes on meanwhile
				case <-l.answered:
				case <-l.end:
				case <-r.Context().Done():
				}
			}
			l.await(r)
		})
	}},
	{name: "answers late", answers: true, address: func(t *testing.T, up proxytest.Side, l *load) string {
		return serve(t, up, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			l.await(r)
		})
	}},
}

// load is what the clients of a proxy and the shadow of its mirror know of each other.
type load struct {
	end      chan struct{} // closed when every client has all of its responses
	answered chan struct{} // gets something as responses come
}

func (l *load) await(r *http.Request) {
	select {
	case <-l.end:
	case <-r.Context().Done():
	}
}

// digest is what the endpoint answers with: a request's content in short.
func digest(n int64, sum uint32) string { return fmt.Sprintf("%d bytes, %08x", n, sum) }

// digests is the endpoint of the load.
func digests(w http.ResponseWriter, r *http.Request) {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		w.WriteHeader(400)
	}
	io.WriteString(w, digest(n, sum.Sum32()))
}

// content is that of a client's n-th request: large at first, so that the copies that a shadow
// takes are large ones, and then by turns none, little, some, and some whose length is not
// told.
func (l *load) content(client, n, large int) (content []byte, stream bool) {
	size := []int{0, 5, 20 << 10, 70 << 10}[(client+n)%4]
	if n == 0 {
		size = large
	}
	return bytes.Repeat([]byte{byte('a' + (client+n)%26)}, size), size > 60<<10
}

// run has the clients ask, and returns when all have their responses. Each has to be the
// endpoint's.
func (l *load) run(x *proxytest.Client, large int) {
	var clients sync.WaitGroup
	for client := range loadClients {
		clients.Go(func() {
			for n := range loadEach {
				content, stream := l.content(client, n, large)
				var body io.Reader
				method := "GET"
				if len(content) > 0 {
					method, body = "POST", bytes.NewReader(content)
				}
				if stream && n > 0 {
					body = io.MultiReader(body) // its length is not told
				}
				r, _ := x.NewRequest(context.Background(), method, body)
				response, err := x.HTTP.Do(r)
				if err != nil {
					x.T.Errorf("request %d of client %d: %v", n, client, err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if want := digest(int64(len(content)), crc32.ChecksumIEEE(content)); err != nil || response.StatusCode != 200 || string(got) != want {
					x.T.Errorf("request %d of client %d: status %d, %q, %v; want %q", n, client, response.StatusCode, got, err, want)
					return
				}
				select {
				case l.answered <- struct{}{}:
				default:
				}
			}
		})
	}
	clients.Wait()
}

// watched is the most that was seen of what a proxy holds: memory, without the large buffers
// of streams, and copies under way.
type watched struct {
	memory, copies float64
	end            func()
}

// watch looks at what the proxy holds until end is called.
func watch(x *proxytest.Client) *watched {
	w, stop, done := &watched{}, make(chan struct{}), make(chan struct{})
	w.end = func() {
		close(stop)
		<-done
	}
	go func() {
		defer close(done)
		for {
			m := x.Scrape()
			w.memory = max(w.memory, m.Sum("hopscope_overload_memory_bytes")-m.Sum("hopscope_large_buffers_bytes"))
			w.copies = max(w.copies, m.Sum("hopscope_upstream_requests_active", "cluster", "shadow"))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond): // leaves the processors to the load
			}
		}
	}()
	return w
}

// manyClients gives the load as many connections as it has clients, so that it opens few.
func manyClients(x *proxytest.Client, side proxytest.Side) {
	t := &http.Transport{Protocols: side.Protocols(), DisableCompression: true, MaxIdleConnsPerHost: loadClients}
	x.T.Cleanup(t.CloseIdleConnections)
	x.HTTP = &http.Client{Transport: t, Timeout: proxytest.Patience}
}

// eachProtocol runs a test with HTTP/1 and with HTTP/2 on both sides of the proxy.
func eachProtocol(t *testing.T, test func(t *testing.T, side proxytest.Side)) {
	for _, side := range []proxytest.Side{proxytest.H1C, proxytest.H2C} {
		t.Run(side.Version(), func(t *testing.T) { test(t, side) })
	}
}

// TestMirrorUnderLoad: whatever a shadow does, every request of many clients has the answer of
// its own endpoint. The shadow answers nothing until the last of them has it, so none has
// waited for the shadow. The copies keep to their number and to their memory, each request is
// copied or counted as not copied, and nothing is left of them.
func TestMirrorUnderLoad(t *testing.T) {
	const most, behind, large = 16, 64 << 10, 1 << 20
	for _, shadow := range slowShadows {
		t.Run(shadow.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, side proxytest.Side) {
				proxytest.NoLeaks(t)
				l := &load{end: make(chan struct{}), answered: make(chan struct{}, 1)}
				p := &proxytest.Script{T: t, Addresses: []string{serve(t, side, digests)}}
				x := p.Start(side, side, mirrorTo(side, []string{shadow.address(t, side, l)}, func(m *config.Mirror) {
					m.MaxRequests, m.MaxBehind, m.Timeout = most, fmt.Sprint(behind), 0
				}))
				ended := sync.OnceFunc(func() { close(l.end) })
				t.Cleanup(ended)
				manyClients(x, side)
				before := x.Scrape().Sum("hopscope_overload_memory_bytes")

				seen := watch(x)
				l.run(x, large)
				seen.end()
				counts := func(direction string) float64 {
					return x.Scrape().Sum("hopscope_requests_total", "direction", direction)
				}
				proxytest.Eventually(t, "every request is counted", func() bool { return counts("inbound") == loadRequests })
				proxytest.Same(t, "requests that went well", x.Scrape().Sum("hopscope_requests_total", "direction", "inbound", "code", "200", "flag", ""), loadRequests)
				if seen.copies > most {
					t.Errorf("%g copies were under way, and there may be %d", seen.copies, most)
				}
				// A client holds a buffer, and over HTTP/2 the window of its stream. A copy holds
				// what is behind, and what its buffers have room for.
				if bound := float64(loadClients*(160<<10) + most*4*behind + 2<<20); seen.memory-before > bound {
					t.Errorf("%g bytes were held, want %g at most", seen.memory-before, bound)
				}
				if copied := counts("mirror"); shadow.answers && copied == loadRequests {
					t.Error("all copies have ended, before the shadow has answered")
				}
				ended()
				proxytest.Eventually(t, "the end of the copies", func() bool {
					return x.Scrape().Sum("hopscope_upstream_requests_active", "cluster", "shadow") == 0
				})
				proxytest.Eventually(t, "every request being copied, or counted as not copied", func() bool {
					return counts("mirror")+x.Scrape().Sum("hopscope_mirror_skipped_total", "cluster", "shadow") == loadRequests
				})
				x.HTTP.CloseIdleConnections()
				proxytest.Eventually(t, "the memory being given back", func() bool { // but for that of connections to endpoints
					return x.Scrape().Sum("hopscope_overload_memory_bytes") <= before+512<<10
				})
			})
		})
	}
}

// TestMirrorGivesWay: where memory is short, copies that hang give theirs up before any client
// is refused for them.
func TestMirrorGivesWay(t *testing.T) {
	const memory, large = 128 << 20, 512 << 10 // a quarter of the memory is for clients
	shadow := slowShadows[1]                   // it never answers
	eachProtocol(t, func(t *testing.T, side proxytest.Side) {
		proxytest.NoLeaks(t)
		l := &load{end: make(chan struct{}), answered: make(chan struct{}, 1)}
		p := &proxytest.Script{T: t, Addresses: []string{serve(t, side, digests)}}
		x := p.Start(side, side, mirrorTo(side, []string{shadow.address(t, side, l)}, func(m *config.Mirror) { m.MaxRequests, m.Timeout = 200, 0 }),
			func(s *proxytest.Settings) { s.Config.Overload.MaxMemoryBytes = memory })
		ended := sync.OnceFunc(func() { close(l.end) })
		t.Cleanup(ended)
		manyClients(x, side)
		for range 6 { // 72 MiB in all
			var clients sync.WaitGroup
			for range loadClients {
				clients.Go(func() {
					r, _ := x.NewRequest(context.Background(), "POST", strings.NewReader(strings.Repeat("a", large)))
					response, err := x.HTTP.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					proxytest.Finish(response)
					proxytest.Same(t, "status", response.StatusCode, 200)
				})
			}
			clients.Wait()
		}
		m := x.Scrape()
		proxytest.Same(t, "refused for want of memory", m.Sum("hopscope_overload_refused_total"), 0)
		if used, limit := m.Sum("hopscope_overload_memory_bytes"), m.Sum("hopscope_overload_memory_limit_bytes"); limit != memory/4 || used > limit/2 {
			t.Errorf("%g of %g bytes are held", used, limit)
		}
		ended()
		proxytest.Eventually(t, "the end of the copies", func() bool {
			return x.Scrape().Sum("hopscope_upstream_requests_active", "cluster", "shadow") == 0
		})
	})
}
