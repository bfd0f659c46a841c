package mesh

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"
)

const (
	// tailPoll is how often a proxy is asked that another one relays to, and how long it is
	// left alone after an error. tailWait is how long one that is asked itself may wait until
	// it has something.
	tailPoll = 500 * time.Millisecond
	tailWait = "20s"
	// settled is how long after its first hop a trace is shown: its other hops have come by
	// then, unless it takes longer.
	settled = 1200 * time.Millisecond
	// maxOpen is how many traces are held back for that.
	maxOpen = 10_000
	// maxFollowed is how many proxies are heard.
	maxFollowed = maxMembers
	maxLine     = 64 << 10
)

// TailOptions say what a tail shows.
type TailOptions struct {
	// Failed shows only traces with a failed hop.
	Failed bool
	// Trace is called once for each trace, a moment after its first hop has ended.
	Trace func(Summary)
	// Note is called when hops of a proxy are missing. It says whose, and why.
	Note func(peer, text string)
	// Missed is called with how many hops of a proxy are missing, in place of Note; nil has
	// Note say so, too.
	Missed func(hops uint64)
	// Relist is how often it is looked who is in the mesh; 0 is once. With it, proxies that do
	// not answer are asked again, and the tail goes on while none does.
	Relist time.Duration
}

// Tail shows traces live, until ctx is over. The functions of o are called by one goroutine
// at a time. It returns an error if no proxy answers at first.
func (c *Client) Tail(ctx context.Context, o TailOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &tail{o: o, c: c, end: cancel, open: map[string]*opened{}, followed: map[string]context.CancelFunc{}}
	t.list(ctx)
	t.all.Go(func() { t.flush(ctx) })
	if o.Relist > 0 {
		t.all.Go(func() { t.relist(ctx) })
	}
	t.all.Wait()
	if !t.heard && o.Relist == 0 {
		return errors.New("no proxy answers")
	}
	return nil
}

// list follows the proxies of the mesh that it does not follow yet, and leaves those that
// are gone.
func (t *tail) list(ctx context.Context) {
	proxies := t.c.proxies(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := maps.Clone(t.followed)
	for _, p := range proxies {
		delete(gone, p.Address)
		if t.followed[p.Address] != nil || len(t.followed) >= maxFollowed {
			continue
		}
		p.all = nil // it goes on and on
		its, leave := context.WithCancel(ctx)
		t.followed[p.Address] = leave
		t.all.Go(func() {
			defer leave()
			t.left(p, t.follow(its, p))
		})
	}
	for _, leave := range gone {
		leave()
	}
	if len(t.followed) == 0 && t.o.Relist == 0 {
		t.end()
	}
}

// left notes that a proxy is followed no more, and whether it ever answered.
func (t *tail) left(p *Proxy, answered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.followed, p.Address)
	t.heard = t.heard || answered
	if len(t.followed) == 0 && t.o.Relist == 0 {
		t.end() // none is left to hear from
	}
}

// relist looks who is in the mesh, again and again.
func (t *tail) relist(ctx context.Context) {
	tick := time.NewTicker(t.o.Relist)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.list(ctx)
		}
	}
}

// tail puts together what the proxies tell.
type tail struct {
	o   TailOptions
	c   *Client
	end context.CancelFunc
	all sync.WaitGroup

	mu       sync.Mutex
	open     map[string]*opened            // by trace id
	followed map[string]context.CancelFunc // by the address of the proxy
	heard    bool                          // a proxy has answered
}

// opened is a trace that has at least one hop so far.
type opened struct {
	hops  []Summary
	until time.Time // when it is shown; when it is forgotten, once that was done
	shown bool
}

// follow hears a proxy until ctx is over. It returns false if the proxy never answered.
func (t *tail) follow(ctx context.Context, p *Proxy) (answered bool) {
	if p.send == nil {
		t.note(p.Address, p.err)
		return false
	}
	path := "/tail?"
	if t.o.Failed {
		path += "failed=1&"
	}
	after, process, silent := uint64(0), "", false
	for ctx.Err() == nil {
		p.left = p.most
		wait := "0s"
		if p.via == "" && after > 0 {
			wait = tailWait
		}
		answer, err := p.Get(ctx, fmt.Sprintf("%swait=%s&after=%d", path, wait, after))
		if err == nil {
			if process != "" && p.id != process {
				after = 0 // its numbers began anew
			}
			process = p.id
			func() {
				defer t.c.catch(&err)
				err = t.read(answer, p, &after)
			}()
			answer.Close()
		}
		switch {
		case ctx.Err() != nil:
			return true
		case err != nil && !silent:
			t.note(p.Address, err)
			silent = true
		case err == nil && silent:
			t.note(p.Address, errors.New("it answers again"))
			silent = false
		}
		if err != nil && !answered {
			return false
		}
		answered = answered || err == nil
		if err != nil || p.via != "" {
			select {
			case <-ctx.Done():
			case <-time.After(tailPoll):
			}
		}
	}
	return true
}

// read takes the lines of an answer.
func (t *tail) read(r io.Reader, p *Proxy, after *uint64) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), maxLine)
	for lines.Scan() {
		var line struct {
			Number uint64
			Missed uint64
			Hop    *told
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return broken(err)
		}
		*after = line.Number
		if line.Missed > 0 {
			t.missed(p.Address, line.Missed)
		}
		if line.Hop != nil {
			if line.Hop.check() != nil {
				return errors.New("a hop of its answer makes no sense")
			}
			t.add(line.Hop.Summary)
		}
	}
	return lines.Err()
}

func (t *tail) note(peer string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.o.Note(peer, clean(err.Error()))
}

func (t *tail) missed(peer string, hops uint64) {
	if t.o.Missed == nil {
		t.note(peer, fmt.Errorf("%d hops are missing: they came too fast", hops))
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.o.Missed(hops)
}

// add notes a hop.
func (t *tail) add(s Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.open[s.TraceID]
	if o == nil {
		if len(t.open) >= maxOpen {
			return
		}
		o = &opened{until: time.Now().Add(settled)}
		t.open[s.TraceID] = o
	}
	if !o.shown && len(o.hops) < maxHops {
		o.hops = append(o.hops, s)
	}
}

// flush shows the traces whose time has come, until ctx is over.
func (t *tail) flush(ctx context.Context) {
	tick := time.NewTicker(settled / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			func() {
				defer t.c.catch(new(error))
				t.show(now)
			}()
		}
	}
}

// show shows the traces whose time has come by now. What comes later of a trace that was
// shown is not shown again for a while.
func (t *tail) show(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var due []Summary
	for id, o := range t.open {
		switch {
		case now.Before(o.until):
		case o.shown:
			delete(t.open, id)
		default:
			due = append(due, o.hops...)
			o.hops, o.shown, o.until = nil, true, now.Add(20*settled)
		}
	}
	merged := merge(due, len(due))
	for i := len(merged) - 1; i >= 0; i-- { // the earliest first
		t.o.Trace(merged[i])
	}
}
