package main

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"
)

// slice is how long each of two loads runs while the other stands still. Other work on
// the machine comes and goes more slowly; a request is a thousand times faster.
const slice = 50 * time.Millisecond

// measureAlternating puts a load on each of two proxies for the same while, and lets them
// run alternately, so that whatever else the machine does hits both alike. It returns CPU a
// request in microseconds.
func (r *rig) measureAlternating(ctx context.Context, first, second *proxy, round int, c cell) (map[*proxy]float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sides := []*proxy{first, second}
	groups := make(chan int, len(sides))
	samples, errs := make([]sample, len(sides)), make([]error, len(sides))
	var running sync.WaitGroup
	for i, side := range sides {
		side.began = func(group int) { groups <- group }
		running.Go(func() {
			if samples[i], errs[i] = r.measureLoad(ctx, side, round+1, c); errs[i] != nil {
				errs[i] = side.failure(errs[i])
				cancel()
			}
		})
	}
	alternate(ctx, groups, r.opts.duration-slice)
	running.Wait()
	first.began, second.began = nil, nil
	return map[*proxy]float64{first: samples[0].CPUMicros, second: samples[1].CPUMicros}, errors.Join(errs...)
}

// alternate takes two process groups and lets one run while the other is stopped,
// alternately, for d. Both run when it returns.
func alternate(ctx context.Context, groups <-chan int, d time.Duration) {
	var pair [2]int
	for i := range pair {
		select {
		case pair[i] = <-groups:
		case <-ctx.Done():
			return // what has begun is ended by the same context
		}
	}
	change := time.NewTicker(slice)
	defer change.Stop()
	over := time.NewTimer(d)
	defer over.Stop()
	// A group that has ended is nobody's loss: kill(2) says so, and all goes on.
	running, stopped := pair[0], pair[1]
	for ctx.Err() == nil {
		_ = syscall.Kill(-stopped, syscall.SIGSTOP)
		_ = syscall.Kill(-running, syscall.SIGCONT)
		select {
		case <-change.C:
			running, stopped = stopped, running
			continue
		case <-over.C:
		case <-ctx.Done():
		}
		break
	}
	_ = syscall.Kill(-stopped, syscall.SIGCONT)
}
