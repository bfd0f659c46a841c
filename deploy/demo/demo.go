package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// DefaultAdmin is where the demo's admin API listens, unless told otherwise.
const DefaultAdmin = "127.0.0.1:9901"

// grace is how long requests in flight may take when the demo ends.
const grace = 5 * time.Second

// Options say how the demo runs. The zero value is the demo as it is meant to
// be, but prints nothing.
type Options struct {
	// Out takes what the demo prints; nil is nowhere.
	Out io.Writer
	// Color adds the escape codes of a terminal.
	Color bool
	// Admin is the address of the admin API, default [DefaultAdmin]. Where it
	// is taken, a free port of the same host is used.
	Admin string
	// Rate is the traffic in requests a second; default 20.
	Rate float64
	// Duration ends the demo after that time, Requests after that many
	// requests; with 0 it runs until its context ends.
	Duration time.Duration
	Requests int
	// Seed fixes how often services misbehave, which is about every 70
	// requests and every 40; 0 is any.
	Seed uint64
	// Version is hopscope's own, for the admin API.
	Version string
	// Log takes the sidecars' own log; nil is nowhere. Level is what the
	// admin API changes of it.
	Log   *slog.Logger
	Level *slog.LevelVar

	outageEvery int64 // requests between two outages of the bank
	slowEvery   int64 // requests to the slow service, one of which is slow
}

func (o Options) withDefaults() (Options, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Level == nil {
		o.Level = new(slog.LevelVar)
	}
	if o.Admin == "" {
		o.Admin = DefaultAdmin
	}
	if o.Rate == 0 {
		o.Rate = 20
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(o.Seed, o.Seed))
	o.outageEvery = cmp.Or(o.outageEvery, 60+random.Int64N(20))
	o.slowEvery = cmp.Or(o.slowEvery, 35+random.Int64N(10))
	if !(o.Rate > 0 && o.Rate <= 10_000) {
		return o, fmt.Errorf("demo: a rate of %v requests a second: use more than 0, at most 10000", o.Rate)
	}
	return o, nil
}

// Run starts the mesh, its traffic and its admin API, prints what it finds,
// and ends all of it when ctx does, or when Duration or Requests are reached.
// That is no error.
func Run(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	listener, moved, err := listenAdmin(o.Admin)
	if err != nil {
		return err
	}
	defer listener.Close()
	m, err := startMesh(o)
	if err != nil {
		return err
	}
	var all traces
	for _, s := range m.sidecars {
		all = append(all, s.proxy.Store())
	}
	a := newMeshAdmin(listener, m, all, o)
	l := &load{url: "http://" + m.ingress[entry] + find(m.graph, entry).path, rate: o.Rate, max: o.Requests}
	r := newReport(o.Out, all, "http://"+listener.Addr().String()+"/", o.Color)
	introduce(o, m, l, listener.Addr(), moved)

	began := time.Now()
	err = run(ctx, m, a, l, r)
	a.close()
	err = errors.Join(err, m.close(grace))
	// Every hop has been recorded now, so nothing has to settle.
	r.look(time.Now(), time.Now())
	fmt.Fprint(o.Out, "Ended. ")
	r.summary(m.requests(), time.Since(began))
	return err
}

// run sends the traffic and prints what is found until ctx ends, the traffic
// does, or a server fails.
func run(ctx context.Context, m *mesh, a *meshAdmin, l *load, r *report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.serve(a.serve)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		defer cancel() // the load has an end of its own
		l.run(ctx)
	})
	began, summarized := time.Now(), time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-m.failed:
			cancel()
			return err
		case now := <-tick.C:
			if m.flush(ctx) != nil {
				return nil // only ctx can have ended it
			}
			r.look(now, now.Add(-settle))
			if now.Sub(summarized) >= summaryEvery {
				summarized = now
				r.summary(m.requests(), now.Sub(began))
			}
		}
	}
}

// introduce prints what runs and what can be done with it.
func introduce(o Options, m *mesh, l *load, admin net.Addr, moved bool) {
	w := o.Out
	fmt.Fprintf(w, "A mesh of %d services, each behind its own hopscope sidecar for what comes in and what goes out.\n\n", len(m.sidecars))
	drawGraph(w, m.graph, "    ")
	fmt.Fprintln(w)
	if moved {
		fmt.Fprintf(w, "  %s is taken, so the admin API has another port.\n", o.Admin)
	}
	fmt.Fprintf(w, "  admin      http://%s/\n", admin)
	fmt.Fprintf(w, "  traffic    %g requests a second to %s\n", o.Rate, l.url)
	fmt.Fprintf(w, "  try it     curl -i %s\n", l.url)
	fmt.Fprintf(w, "             and see where it went: http://%s/traces/ID, ID being the \"trace\" of the reply\n", admin)
	fmt.Fprintf(w, "  end it     Ctrl-C\n\n")
	fmt.Fprintf(w, "Failing and slow traces are drawn below as they are found.\n\n")
}
