package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/mesh"
)

const (
	// maxStreams is how many watch the mesh live at once.
	maxStreams = 16
	// usualRate is how many traces a second one of them gets, mostRate how many at most.
	usualRate, mostRate = 100, 1000
	// streamBuffer is how many traces are kept for one that reads slowly; then they are
	// counted as missed.
	streamBuffer = 256
	// streamTick is how often the missed are told; quietTicks is after how many of these a
	// line without anything says that the stream goes on.
	streamTick = time.Second
	quietTicks = 10
	// relist is how often it is looked who is in the mesh.
	relist = 10 * time.Second
)

// live shows the traces of the mesh to all who watch. The mesh is asked once for all of
// them, and only while somebody watches.
type live struct {
	tail func(ctx context.Context, o mesh.TailOptions) error

	mu       sync.Mutex
	watchers map[*watcher]bool
	stop     func() // ends asking, and waits for its end
}

// watcher is one that watches.
type watcher struct {
	wants  func(*mesh.Summary) bool
	traces chan mesh.Summary
	notes  chan liveNote
	missed atomic.Uint64
}

// liveNote says what is missing of a proxy, and why.
type liveNote struct {
	Note  string `json:"note"`
	Proxy string `json:"proxy"`
}

func newLive(c *mesh.Client, failed bool) *live {
	return &live{watchers: map[*watcher]bool{}, tail: func(ctx context.Context, o mesh.TailOptions) error {
		o.Failed, o.Relist = failed, relist
		return c.Tail(ctx, o)
	}}
}

// watch adds one that wants to see some traces.
func (l *live) watch(wants func(*mesh.Summary) bool) *watcher {
	w := &watcher{wants: wants, traces: make(chan mesh.Summary, streamBuffer), notes: make(chan liveNote, 16)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[w] = true
	if l.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		l.stop = func() { cancel(); <-ended }
		go func() {
			defer close(ended)
			_ = l.tail(ctx, mesh.TailOptions{Trace: l.show, Note: l.note, Missed: l.miss}) // none while it looks who is there
		}()
	}
	return w
}

// leave takes one away. With the last one, asking ends.
func (l *live) leave(w *watcher) {
	l.mu.Lock()
	delete(l.watchers, w)
	stop := func() {}
	if len(l.watchers) == 0 {
		stop, l.stop = l.stop, nil
	}
	l.mu.Unlock()
	stop()
}

// each calls do for those who watch.
func (l *live) each(do func(*watcher)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watchers {
		do(w)
	}
}

// show never waits: who is too slow misses the trace.
func (l *live) show(s mesh.Summary) {
	s.Next = "hopscope trace " + s.TraceID
	l.each(func(w *watcher) {
		if !w.wants(&s) {
			return
		}
		select {
		case w.traces <- s:
		default:
			w.missed.Add(1)
		}
	})
}

func (l *live) note(peer, text string) {
	l.each(func(w *watcher) {
		select {
		case w.notes <- liveNote{text, peer}:
		default: // the next one says as much
		}
	})
}

func (l *live) miss(hops uint64) { l.each(func(w *watcher) { w.missed.Add(hops) }) }

// meshTail answers /v1/mesh/tail: the traces of the mesh as they end, a JSON object a line,
// until the client goes.
func (a *api) meshTail(w http.ResponseWriter, r *http.Request) {
	q, err := parseStream(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /v1/mesh/tail?failed=1&rate=20")
		return
	}
	l := a.all
	if q.failed {
		l = a.failed
	}
	watcher := l.watch(func(s *mesh.Summary) bool { return q.service == "" || s.Passed(q.service) })
	defer l.leave(watcher)
	w.Header().Set("Content-Type", "application/x-ndjson")
	if p, ok := w.(*paced); ok {
		p.endless()
	}
	(&stream{w: w, from: watcher, rate: q.rate}).run(r.Context())
}

type streamQuery struct {
	failed  bool
	service string
	rate    int
}

func parseStream(form url.Values) (q streamQuery, err error) {
	q.rate = usualRate
	if err := only(form, "failed", "rate", "service"); err != nil {
		return q, err
	}
	q.service = form.Get("service")
	if text := form.Get("failed"); text != "" {
		if q.failed, err = parseBool(text); err != nil {
			return q, fmt.Errorf("failed=%s: %w", quote(text), err)
		}
	}
	if text := form.Get("rate"); text != "" {
		if q.rate, err = strconv.Atoi(text); err != nil || q.rate < 1 || q.rate > mostRate {
			return q, fmt.Errorf("rate=%s: it is a number of traces a second, from 1 to %d", quote(text), mostRate)
		}
	}
	return q, nil
}

// stream writes what a watcher sees.
type stream struct {
	w     http.ResponseWriter
	from  *watcher
	rate  int
	lines bytes.Buffer
	sent  int // since the last tick
	quiet int // ticks
}

// run writes until ctx is over, the server ends, or the client does not read any more.
func (s *stream) run(ctx context.Context) {
	tick := time.NewTicker(streamTick)
	defer tick.Stop()
	ends := closing(ctx)
	s.line(struct{}{}) // so that the client sees at once that it is there
	for {
		if !s.flush() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ends:
			return
		case t := <-s.from.traces:
			s.trace(t)
		case n := <-s.from.notes:
			s.line(n)
		case <-tick.C:
			s.tick()
		}
	}
}

// trace writes the traces that are there, as many as may be sent until the next tick.
func (s *stream) trace(t mesh.Summary) {
	for {
		if s.sent < s.rate {
			s.sent++
			s.line(t)
		} else {
			s.from.missed.Add(1)
		}
		select {
		case t = <-s.from.traces:
		default:
			return
		}
	}
}

// tick tells what is missing, and now and then that there is nothing to tell.
func (s *stream) tick() {
	s.sent = 0
	if n := s.from.missed.Swap(0); n > 0 {
		s.line(struct {
			Missed uint64 `json:"missed"`
		}{n})
		return
	}
	if s.quiet++; s.quiet >= quietTicks {
		s.line(struct{}{})
	}
}

func (s *stream) line(v any) {
	e := json.NewEncoder(&s.lines)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // lines always encode
	s.quiet = 0
}

// flush sends the lines, and reports whether the client is there.
func (s *stream) flush() bool {
	if s.lines.Len() == 0 {
		return true
	}
	_, err := s.w.Write(s.lines.Bytes())
	s.lines.Reset()
	return err == nil && http.NewResponseController(s.w).Flush() == nil
}
