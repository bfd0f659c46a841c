package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"
)

// measure puts every load of every group on the group's variants, rounds times.
// Progress goes to w.
func (r *rig) measure(ctx context.Context, w io.Writer) ([]sample, []delivery, error) {
	var samples []sample
	var views []delivery
	for _, g := range r.opts.chosen() {
		measured, arrived, err := r.measureGroup(ctx, w, g)
		if err != nil {
			return nil, nil, err
		}
		samples = append(samples, measured...)
		views = append(views, arrived...)
	}
	return samples, views, nil
}

// measureGroup measures the variants of one group. All of them run throughout; only
// one is under load at any time, the others wait.
func (r *rig) measureGroup(ctx context.Context, w io.Writer, g group) ([]sample, []delivery, error) {
	var proxies []*proxy
	stopAll := func() {
		var ended sync.WaitGroup
		for _, p := range proxies {
			ended.Go(p.stop)
		}
		ended.Wait()
	}
	for _, v := range r.opts.variantsOf(g) {
		p, err := r.startProxy(ctx, v)
		if err != nil {
			stopAll()
			return nil, nil, err
		}
		proxies = append(proxies, p)
	}
	samples, err := r.rounds(ctx, w, proxies, g.cells(r.opts))
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
func (r *rig) rounds(ctx context.Context, w io.Writer, proxies []*proxy, cells []cell) ([]sample, error) {
	var samples []sample
	for round := range r.opts.rounds {
		for i, c := range cells {
			for k := range proxies {
				p := proxies[(round+i+k)%len(proxies)]
				s, err := r.measureOne(ctx, p, round+1, c)
				if err != nil {
					if ctx.Err() != nil {
						return nil, ctx.Err()
					}
					return nil, p.failure(fmt.Errorf("%s, round %d, %s: %w", p.variant.name, round+1, c, err))
				}
				fmt.Fprintf(w, "round %d/%d  %-22s %7.2f us/request %8.0f requests/s  %s\n",
					round+1, r.opts.rounds, s.Variant, s.CPUMicros, s.RequestsPerSecond, c)
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
		if _, err := r.put(ctx, p, c, r.opts.warmup); err != nil {
			return sample{}, err
		}
	}
	return r.measureLoad(ctx, p, round, c)
}

// measureLoad measures one proxy, as warm as it is, under one load.
func (r *rig) measureLoad(ctx context.Context, p *proxy, round int, c cell) (sample, error) {
	before, err := groupCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	seen, err := r.put(ctx, p, c, r.opts.duration)
	if err != nil {
		return sample{}, err
	}
	after, err := groupCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	return newSample(round, p.variant.name, c, seen, after.sub(before)), nil
}

// put puts one load on a proxy for d.
func (r *rig) put(ctx context.Context, p *proxy, c cell, d time.Duration) (load, error) {
	g := groupOf(c.Group)
	var seen load
	var err error
	switch {
	case g.grpc:
		seen, err = r.putCalls(ctx, p, c, d)
	case g.http2:
		seen, err = runH2load(ctx, r.cores.load, h2loadArguments(r.programs["h2load"], c, d, p.url(c.BodyBytes), ""), p.began)
	default:
		seen, err = runWrk(ctx, r.cores.load, wrkArguments(r.programs["wrk"], c, d, p.url(c.BodyBytes)), p.began)
	}
	p.requests += seen.requests
	return seen, err
}

// putCalls puts a load of gRPC calls on a proxy. h2load can't tell a call that failed,
// so the backend must have answered as many as h2load counted.
func (r *rig) putCalls(ctx context.Context, p *proxy, c cell, d time.Duration) (load, error) {
	message := filepath.Join(r.dir, p.variant.name+".message")
	if err := writeMessage(message, c.BodyBytes); err != nil {
		return load{}, err
	}
	before, err := r.sink.counts()
	if err != nil {
		return load{}, err
	}
	argv := h2loadArguments(r.programs["h2load"], c, d, p.base()+echoMethod, message)
	seen, err := runH2load(ctx, r.cores.load, argv, p.began)
	if err != nil {
		return load{}, err
	}
	after, err := r.sink.counts()
	if err != nil {
		return load{}, err
	}
	if answered := after.Calls - before.Calls; answered < seen.requests {
		return load{}, fmt.Errorf("requests failed: %d calls had an answer, %d of them the backend's", seen.requests, answered)
	}
	return seen, nil
}
