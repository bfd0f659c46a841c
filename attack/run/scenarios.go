package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/attack"
)

// little is the container that most attacks on memory are made in.
var little = limits{memory: 64 << 20}

// scenarios are all attacks, in the order in which they are made.
var scenarios = []scenario{
	{
		name: "7 HTTP/2 connections, 100 uploads of 64 KB each, to an endpoint that stalls", limits: little,
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error {
			return attack.HeavyUploads(ctx, p.Listen, "/stalled", 7, 100, 64<<10, new(attack.Tally))
		},
	},
	{
		name: "500 heads of 60 KB that do not end", limits: little,
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error {
			return attack.HeavyHeads(ctx, p.Listen, 500, 60_000, new(attack.Tally))
		},
	},
	{
		name: "5,000 clients that do not finish a head (slowloris)", limits: little,
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error {
			return attack.Slowloris(ctx, p.Listen, 5000, new(attack.Tally))
		},
	},
	{
		name: "1,000 HTTP/2 connections, 100 streams each that take no response", limits: little,
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error {
			return attack.StalledStreams(ctx, p.Listen, "/large", 1000, 100, false, new(attack.Tally))
		},
	},
	{
		name: "512 clients that keep idle connections", limits: limits{files: 256},
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error { return attack.IdleClients(ctx, p.Listen, 512) },
	},
	{
		name: "512 clients that say nothing, on another listener", limits: limits{files: 256},
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.9,
		attack: func(ctx context.Context, p places) error { return attack.SilentClients(ctx, p.Other, 512) },
	},
	{
		name:     "100 viewers of a trace of 7,700 hops, who read slowly",
		hopscope: hopscopePlain, least: 0.99,
		attack: func(ctx context.Context, p places) error {
			if err := attack.ManyHops(ctx, p.Listen, 7700); err != nil {
				return err
			}
			_, err := attack.SlowViewers(ctx, p.Admin, "/traces/"+attack.OneTrace, 100)
			return err
		},
	},
	{
		name: "pages of another site that ask for profiles", limits: limits{},
		hopscope: hopscopePlain, least: 0.99,
		attack: each(func(ctx context.Context, p places) error {
			served, err := attack.CrossSite(ctx, p.Admin)
			return had(len(served) > 0, "another site's page was served", served, err)
		}),
	},
	{
		name:     "fields of Envoy's own from strangers behind a TLS terminator",
		hopscope: hopscopePlain, least: 0.99,
		attack: each(func(ctx context.Context, p places) error {
			passed, err := attack.Strangers(ctx, p.Echoing)
			return had(len(passed) > 0, "passed", passed, err)
		}),
	},
	{
		name:     "an endpoint that sends interim responses for ever",
		hopscope: hopscopePlain, haproxy: haproxyPlain, least: 0.99,
		attack: each(func(ctx context.Context, p places) error {
			n, _, err := attack.TakeInterim(ctx, p.Interim)
			return had(n > 1<<20, "bytes of them that were relayed", n, err)
		}),
	},
	{
		name: "300 HTTP/2 connections that are idle after a cookie of 55 KB", limits: little,
		hopscope: hopscopePlain, least: 0.99,
		attack: func(ctx context.Context, p places) error { return attack.HeavyCookies(ctx, p.Listen, 300, 55_000) },
	},
	{
		name:     "a FIFO as access log that nobody reads, then SIGTERM",
		hopscope: hopscopeFIFO, least: 0.99,
		attack: wait,
		after:  ends,
	},
	{
		name:     "SIGTERM behind a thousand SIGHUPs",
		hopscope: hopscopePlain, least: 0.99,
		attack: func(ctx context.Context, p places) error {
			for ctx.Err() == nil {
				if err := syscall.Kill(p.PID, syscall.SIGHUP); err != nil {
					return nil // it died, which is seen elsewhere
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		},
		after: func(p places, proxy *sandbox) error {
			for range 1000 {
				syscall.Kill(p.PID, syscall.SIGHUP)
			}
			return ends(p, proxy)
		},
	},
	{
		name:     "a dead Zipkin with a key in its URL",
		hopscope: hopscopeZipkin, least: 0.99,
		attack: wait,
		after: func(p places, proxy *sandbox) error {
			if err := ends(p, proxy); err != nil {
				return err
			}
			return had(bytes.Contains(proxy.output.Bytes(), []byte(zipkinKey)), "the key is in the log", "", nil)
		},
	},
	{
		name:     "names that lead back to the host, through the forward proxy",
		hopscope: hopscopePlain, least: 0.99,
		attack: each(func(ctx context.Context, p places) error {
			_, port, err := net.SplitHostPort(p.Endpoint)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(port)
			if err != nil {
				return err
			}
			reached, err := attack.Smuggle(ctx, p.Forward, n, attack.NamesOfThisHost()...)
			return had(len(reached) > 0, "reached", reached, err)
		}),
	},
}

// wait is for attacks that lie in the configuration.
func wait(ctx context.Context, _ places) error {
	<-ctx.Done()
	return nil
}

// ends has the proxy end, as it must with nothing under way but what honest clients keep.
func ends(_ places, proxy *sandbox) error {
	if err := proxy.terminate(20 * time.Second); err != nil {
		return fmt.Errorf("%w: %w", errHad, err)
	}
	return nil
}

// errHad is that an attack had what it wanted.
var errHad = errors.New("the attack had its way")

func had(is bool, what string, got any, err error) error {
	if is {
		return fmt.Errorf("%w: %s: %v", errHad, what, got)
	}
	return err
}

// each repeats an attack until ctx is done.
func each(attack func(ctx context.Context, p places) error) func(context.Context, places) error {
	return func(ctx context.Context, p places) error {
		for ctx.Err() == nil {
			if err := attack(ctx, p); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		return nil
	}
}
