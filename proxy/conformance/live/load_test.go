package live_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	loadRate = 1100 // requests a second, as far as this machine can
	// loadBusy is how many requests may be on their way for another to be due. It takes
	// a stall to have as many, or a machine that can do no more: it gets a slower load
	// then, not one that is ever farther behind.
	loadBusy = 50
	// loadMost is how many connections there are at most, for bursts.
	loadMost = 400
	// loadLeast is how many requests a load has had before it ends.
	loadLeast = 300
)

// load is an open-loop load: requests are due at a constant rate, and are sent then
// whether or not those before them were answered, each on a connection that is free,
// or on a new one. Latency counts from when a request was due, so that a stall is not
// forgotten.
type load struct {
	t       testing.TB
	address string
	method  string
	start   time.Time
	prefix  uint64 // of the trace ids; the rest is the request's number

	stop    chan struct{}
	pacing  sync.WaitGroup
	calling sync.WaitGroup

	mu      sync.Mutex
	free    []*caller
	queue   []job // due, while every connection is in use
	callers int
	sent    int
	names   map[string]string // each endpoint's name, kept once
	results []result          // in the order in which they came
	ended   bool
}

// result is how a request went. Times are since the load's start.
type result struct {
	n               int // its number
	due, sent, done time.Duration
	status          int
	from            string // the endpoint that answered, where the proxy did not
	err             error
}

func (o *result) ok() bool { return o.err == nil && o.status == 200 }

// caller is a connection, and the goroutine that uses it.
type caller struct {
	work   chan job
	conn   net.Conn
	buffer []byte
}

type job struct {
	n   int
	due time.Duration
}

// startLoad puts load on an address until end is called, or the test ends.
func startLoad(t testing.TB, address, method string) *load {
	l := &load{
		t: t, address: address, method: method, start: time.Now(), prefix: rand.Uint64() | 1,
		stop: make(chan struct{}), names: map[string]string{},
	}
	l.pacing.Go(l.pace)
	t.Cleanup(l.finish)
	return l
}

func (l *load) now() time.Duration { return time.Since(l.start) }

// pace sends each request when it is due.
func (l *load) pace() {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	const every = time.Second / loadRate
	for due := time.Duration(0); ; {
		now := l.now()
		for ; due <= now && !l.full(); due += every {
			l.send(due)
		}
		due = max(due, now)
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
	}
}

// burst sends n requests at once, besides the others, so that as many connections
// are open.
func (l *load) burst(n int) {
	for range n {
		l.send(l.now())
	}
}

// full reports whether so many requests are on their way that no other is due.
func (l *load) full() bool { return l.busy() >= loadBusy }

func (l *load) send(due time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := job{l.sent, due}
	l.sent++
	if n := len(l.free); n > 0 {
		c := l.free[n-1]
		l.free = l.free[:n-1]
		c.work <- j // it has room for one, and waits for it
		return
	}
	if l.callers == loadMost {
		l.queue = append(l.queue, j)
		return
	}
	l.callers++
	c := &caller{work: make(chan job, 1), buffer: make([]byte, 4096)}
	c.work <- j
	l.calling.Go(func() { l.call(c) })
}

// call makes a caller's requests.
func (l *load) call(c *caller) {
	defer c.hangUp()
	for j := range c.work {
		o := result{n: j.n, due: j.due, sent: l.now()}
		status, body, err := c.exchange(l, j.n)
		o.done, o.status, o.err = l.now(), status, err
		l.mu.Lock()
		if o.from = l.names[string(body)]; o.from == "" && status == 200 {
			o.from = string(body)
			l.names[o.from] = o.from
		}
		l.results = append(l.results, o)
		switch {
		case len(l.queue) > 0:
			c.work <- l.queue[0]
			l.queue = l.queue[1:]
		case l.ended:
			l.mu.Unlock()
			return
		default:
			l.free = append(l.free, c)
		}
		l.mu.Unlock()
	}
}

func (c *caller) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// exchange sends a request and reads its response. A connection that fails is
// opened anew for the next one; nothing is sent twice.
func (c *caller) exchange(l *load, n int) (status int, body []byte, err error) {
	defer func() {
		if err != nil {
			c.hangUp()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", l.address, proxytest.Patience); err != nil {
			return 0, nil, err
		}
	}
	if err := c.conn.SetDeadline(proxytest.Deadline()); err != nil {
		return 0, nil, err
	}
	b := fmt.Appendf(c.buffer[:0], "%s / HTTP/1.1\r\nHost: web.test\r\ntraceparent: 00-%s-00f067aa0ba902b7-00\r\n", l.method, l.trace(n))
	if l.method == "POST" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if _, err := c.conn.Write(append(b, "\r\n"...)); err != nil {
		return 0, nil, err
	}
	return c.response()
}

// response reads a response that says how long its content is.
func (c *caller) response() (status int, body []byte, err error) {
	head, whole, n := 0, 0, 0
	for whole == 0 || n < whole {
		if n == len(c.buffer) {
			return 0, nil, errors.New("the response is too long")
		}
		more, err := c.conn.Read(c.buffer[n:])
		if err != nil {
			return 0, nil, fmt.Errorf("reading the response, of which there are %d bytes: %w", n, err)
		}
		n += more
		if end := bytes.Index(c.buffer[:n], []byte("\r\n\r\n")); whole == 0 && end >= 0 {
			lower := bytes.ToLower(c.buffer[:end+2])
			_, after, _ := bytes.Cut(lower, []byte("\r\ncontent-length: "))
			length, _, ok := bytes.Cut(after, []byte("\r\n"))
			size, err := strconv.Atoi(string(length))
			if !ok || err != nil || len(lower) < 12 {
				return 0, nil, fmt.Errorf("no response: %.200q", c.buffer[:n])
			}
			if status, err = strconv.Atoi(string(lower[9:12])); err != nil {
				return 0, nil, fmt.Errorf("no status: %.200q", c.buffer[:n])
			}
			head, whole = end+4, end+4+size
			if bytes.Contains(lower, []byte("\r\nconnection: close\r\n")) {
				defer c.hangUp()
			}
		}
	}
	return status, c.buffer[head:whole], nil
}

// trace is the trace of the n-th request.
func (l *load) trace(n int) (id hop.TraceID) {
	for i := range 8 {
		id[i], id[8+i] = byte(l.prefix>>(8*i)), byte(uint64(n)>>(56-8*i))
	}
	return id
}

// finish ends the load and waits for every answer.
func (l *load) finish() {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	close(l.stop)
	l.pacing.Wait()
	l.mu.Lock()
	l.ended = true
	for _, c := range l.free {
		close(c.work)
	}
	l.mu.Unlock()
	l.calling.Wait()
}

// end ends the load, checks that it was one, and returns what came of it.
func (l *load) end() []result {
	l.t.Helper()
	proxytest.Eventually(l.t, "enough requests to show anything", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.results) >= loadLeast
	})
	l.finish()
	all := l.results
	if len(all) != l.sent {
		l.t.Errorf("%d results of %d requests", len(all), l.sent)
	}
	var last time.Duration
	took, late := make([]time.Duration, len(all)), time.Duration(0)
	for i, o := range all {
		last, late = max(last, o.sent), max(late, o.sent-o.due)
		took[i] = o.done - o.due
	}
	slices.Sort(took)
	rate := float64(len(all)) / last.Seconds()
	l.t.Logf("%d requests in %.1f s, %.0f/s over %d connections; from when they were due: p50 %s, p99 %s, at most %s; sent %s late at most",
		len(all), last.Seconds(), rate, l.callers, percentile(took, 50), percentile(took, 99), percentile(took, 100), late.Round(time.Microsecond))
	return all
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Round(time.Microsecond)
}

// since are the results of requests that were sent from a time on, so far.
func (l *load) since(from time.Duration) []result {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []result
	for i := len(l.results) - 1; i >= 0 && l.results[i].done >= from; i-- {
		if l.results[i].sent >= from {
			all = append(all, l.results[i])
		}
	}
	slices.Reverse(all)
	return all
}

// lateness is how late answers came since then, which take no time of their own: it
// is this machine's.
func (l *load) lateness(from time.Duration) time.Duration {
	var most time.Duration
	for _, o := range l.since(from) {
		most = max(most, o.done-o.due)
	}
	return most
}

// pass returns when the load has lasted so much longer: for what is tested over a time.
func (l *load) pass(d time.Duration) {
	<-time.After(d)
}

// more waits until n requests that are sent from now on have been answered, and returns
// them.
func (l *load) more(n int) []result {
	l.t.Helper()
	from := l.now()
	var all []result
	proxytest.Eventually(l.t, fmt.Sprintf("%d more requests", n), func() bool {
		all = l.since(from)
		return len(all) >= n
	})
	return all
}

// busy is how many requests are on their way.
func (l *load) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent - len(l.results)
}

// shares is what part of the requests each endpoint answered.
func shares(all []result) map[string]float64 {
	m := map[string]float64{}
	for _, o := range all {
		m[o.from] += 1 / float64(len(all))
	}
	return m
}
