package main

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// cellsOf lists every kind of load of the options.
func cellsOf(o options) []cell {
	var cells []cell
	for _, connections := range o.connections {
		for _, body := range o.bodies {
			cells = append(cells, cell{connections, body})
		}
	}
	return cells
}

// measure puts every load on every variant, rounds times. All variants run
// throughout; only one is under load at any time, the others wait. Progress
// goes to w.
func (r *rig) measure(ctx context.Context, w io.Writer) ([]sample, []delivery, error) {
	var proxies []*proxy
	stopAll := func() {
		var ended sync.WaitGroup
		for _, p := range proxies {
			ended.Go(p.stop)
		}
		ended.Wait()
	}
	for _, v := range r.opts.variants {
		p, err := r.startProxy(ctx, v)
		if err != nil {
			stopAll()
			return nil, nil, err
		}
		proxies = append(proxies, p)
	}
	samples, err := r.rounds(ctx, w, proxies)
	stopAll() // what they buffered is flushed now
	if err != nil {
		return nil, nil, err
	}
	counts, err := r.sink.counts()
	if err != nil {
		return nil, nil, err
	}
	var views []delivery
	for _, p := range proxies {
		if err := p.takeLog(); err != nil {
			return nil, nil, err
		}
		views = append(views, p.deliveries(counts)...)
	}
	return samples, views, nil
}

// rounds is the order of the measurement: the variants stand side by side
// within a load, so that those that are compared are seconds apart, and none is
// always first.
func (r *rig) rounds(ctx context.Context, w io.Writer, proxies []*proxy) ([]sample, error) {
	var samples []sample
	for round := range r.opts.rounds {
		for i, c := range cellsOf(r.opts) {
			for k := range proxies {
				p := proxies[(round+i+k)%len(proxies)]
				s, err := r.measureOne(ctx, p, round+1, c)
				if err != nil {
					if ctx.Err() != nil {
						return nil, ctx.Err()
					}
					return nil, p.failure(fmt.Errorf("%s, round %d, %s: %w", p.variant.name, round+1, c, err))
				}
				fmt.Fprintf(w, "round %d/%d  %-33s %-20s %7.2f us/request %8.0f requests/s\n",
					round+1, r.opts.rounds, c, s.Variant, s.CPUMicros, s.RequestsPerSecond)
				samples = append(samples, s)
			}
		}
	}
	return samples, nil
}

// measureOne warms one proxy and measures it under one load.
func (r *rig) measureOne(ctx context.Context, p *proxy, round int, c cell) (sample, error) {
	if err := p.takeLog(); err != nil {
		return sample{}, err
	}
	if r.opts.warmup > 0 {
		warm, err := runWrk(ctx, r.programs["wrk"], r.cores.load, c.Connections, r.opts.warmup, p.url(c.BodyBytes))
		if err != nil {
			return sample{}, err
		}
		p.requests += warm.requests
	}
	before, err := groupCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	seen, err := runWrk(ctx, r.programs["wrk"], r.cores.load, c.Connections, r.opts.duration, p.url(c.BodyBytes))
	if err != nil {
		return sample{}, err
	}
	after, err := groupCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	p.requests += seen.requests
	return newSample(round, p.variant.name, c, seen, after.sub(before)), nil
}
