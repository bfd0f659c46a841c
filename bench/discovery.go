package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// changePause lies between two changes at least. Changes that follow each other
	// faster hopscope puts together, so that it asks Consul five times a second at most.
	changePause = 250 * time.Millisecond

	// An instance that was silent for goneAfter, while others answered goneAnswers
	// requests, gets no more requests.
	goneAfter   = 250 * time.Millisecond
	goneAnswers = 100

	// noticeLimit is how long a change may go unnoticed until the run is given up.
	noticeLimit = 30 * time.Second
)

// discovery is how long changes in Consul took until requests followed, from Consul's
// answer to the change on.
type discovery struct {
	Variant      string `json:"variant"`
	Consul       string `json:"consul_version"`
	Registered   delays `json:"registered"`   // until the new instance's first response
	Deregistered delays `json:"deregistered"` // until the old instance's last response; 0 if that came before
}

// delays are times of one kind.
type delays struct {
	Changes      int       `json:"changes"`
	MedianMillis float64   `json:"median_ms"`
	MaxMillis    float64   `json:"max_ms"`
	Millis       []float64 `json:"ms"`
}

func newDelays(all []time.Duration) delays {
	d := delays{Changes: len(all)}
	for _, one := range all {
		d.Millis = append(d.Millis, micros(one)/1000)
	}
	if len(all) > 0 {
		d.MedianMillis, d.MaxMillis = median(d.Millis), slices.Max(d.Millis)
	}
	return d
}

// discoveryVariant is the hopscope that follows Consul. It is in no group: no load of
// theirs is put on it.
func discoveryVariant() variant {
	return fullyViewed("hopscope-consul", "", "hopscope-consul.yaml", traced)
}

// measureDiscovery registers n instances with a Consul agent, and deregisters each,
// while a client asks hopscope all the time, and sees when answers come from them.
func (r *rig) measureDiscovery(ctx context.Context, progress io.Writer, n int) (*discovery, error) {
	fmt.Fprintf(progress, "%d instances come and go in Consul, about %v\n", n, time.Duration(n)*(changePause+goneAfter))
	agent, err := r.startConsul(ctx)
	if err != nil {
		return nil, err
	}
	defer agent.stop()
	version, err := agent.version(ctx)
	if err != nil {
		return nil, agent.failure(err)
	}
	stays, err := startInstance("stays")
	if err != nil {
		return nil, err
	}
	defer stays.stop()
	if err := agent.register(ctx, stays); err != nil {
		return nil, agent.failure(err)
	}
	p, err := r.startFollower(ctx, discoveryVariant(), agent.address)
	if err != nil {
		return nil, err
	}
	defer p.stop()

	c := startCaller("http://" + p.listen + "/")
	defer c.stop()
	var added, removed []time.Duration
	for i := range n {
		in, out, err := comeAndGo(ctx, agent, c, fmt.Sprintf("instance-%d", i+1))
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, p.failure(fmt.Errorf("%s: %w", p.variant.name, err))
		}
		added, removed = append(added, in), append(removed, out)
	}
	return &discovery{Variant: p.variant.name, Consul: version, Registered: newDelays(added), Deregistered: newDelays(removed)}, nil
}

// startFollower runs a variant that has its endpoints from Consul, until it has one. The
// caller must stop it.
func (r *rig) startFollower(ctx context.Context, v variant, consul string) (*proxy, error) {
	p, err := r.launchProxy(v, places{Consul: consul, ConsulService: consulService})
	if err != nil {
		return nil, err
	}
	if err = p.awaitListen(ctx, p.listen); err == nil {
		err = p.poll(ctx, "gets no answer from the instance in Consul", func() (bool, error) {
			_, err := getOnce(ctx, "http://"+p.listen+"/")
			return err == nil, err
		})
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// comeAndGo registers a new instance and deregisters it.
func comeAndGo(ctx context.Context, agent *consulAgent, c *caller, name string) (added, removed time.Duration, err error) {
	i, err := startInstance(name)
	if err != nil {
		return 0, 0, err
	}
	defer i.stop()
	if err := agent.register(ctx, i); err != nil {
		return 0, 0, err
	}
	registered := time.Now()
	if err := c.await(ctx, "the first response of "+name, func(s sightings) bool { return s.has(name) }); err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, changePause); err != nil {
		return 0, 0, err
	}
	if err := agent.deregister(ctx, i); err != nil {
		return 0, 0, err
	}
	deregistered := time.Now()
	if err := c.await(ctx, "the last response of "+name, func(s sightings) bool { return s.gone(name) }); err != nil {
		return 0, 0, err
	}
	first, last := c.seen(name)
	return max(0, first.Sub(registered)), max(0, last.Sub(deregistered)), nil
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func writeDiscovery(b *strings.Builder, d discovery) {
	b.WriteString("## Changes in Consul\n\n")
	fmt.Fprintf(b, "`%s` follows a service of a Consul agent (%s) on this machine, while one client asks it as fast as it is answered. The times are from Consul's answer to the change on; nothing that was asked meanwhile failed.\n\n", d.Variant, d.Consul)
	b.WriteString("| change | times | until | median ms | longest ms |\n|---|---:|---|---:|---:|\n")
	line := func(change, until string, t delays) {
		fmt.Fprintf(b, "| %s | %d | %s | %.1f | %.1f |\n", change, t.Changes, until, t.MedianMillis, t.MaxMillis)
	}
	line("an instance is registered", "its first response", d.Registered)
	line("an instance is deregistered", "its last response", d.Deregistered)
	b.WriteString("\n")
}
