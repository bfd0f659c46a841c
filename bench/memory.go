package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// memory is the resident memory of endpoints that have no traffic.
type memory struct {
	Variant     string  `json:"variant"`
	Endpoints   int     `json:"endpoints"`
	OneBytes    int64   `json:"rss_one_bytes"`  // with one of them
	ManyBytes   int64   `json:"rss_many_bytes"` // with all
	PerEndpoint float64 `json:"bytes_per_endpoint"`
	Settled     bool    `json:"settled"`
}

// measureMemory starts a variant with one endpoint, and afresh with n, and reads the
// resident memory of both once it has settled. Nothing is asked of them but the few
// requests that prove that they work.
func (r *rig) measureMemory(ctx context.Context, progress io.Writer, v variant, n int) (*memory, error) {
	fmt.Fprintf(progress, "memory of %s with 1 and %d endpoints\n", v.name, n)
	v.endpoints = 1
	one, settledOne, err := r.restingRSS(ctx, v)
	if err != nil {
		return nil, err
	}
	v.endpoints = n
	many, settledMany, err := r.restingRSS(ctx, v)
	if err != nil {
		return nil, err
	}
	return newMemory(v, one, many, settledOne && settledMany), nil
}

// newMemory divides what the endpoints of v beyond the first have added.
func newMemory(v variant, one, many int64, settled bool) *memory {
	return &memory{
		Variant: v.name, Endpoints: v.endpoints, OneBytes: one, ManyBytes: many,
		PerEndpoint: float64(many-one) / float64(v.endpoints-1), Settled: settled,
	}
}

// restingRSS is the resident memory of a variant that has just started.
func (r *rig) restingRSS(ctx context.Context, v variant) (int64, bool, error) {
	p, err := r.startProxy(ctx, v)
	if err != nil {
		return 0, false, err
	}
	defer p.stop()
	rss, settled, err := settledRSS(ctx, p.pid())
	if err != nil {
		return 0, false, p.failure(err)
	}
	return rss, settled, nil
}

func writeMemory(b *strings.Builder, m memory) {
	b.WriteString("## Endpoints without traffic\n\n")
	fmt.Fprintf(b, "`%s`, freshly started with 1 endpoint and with %d: **%.0f bytes** of resident memory an endpoint (%.1f MiB with one of them, %.1f MiB with all). ",
		m.Variant, m.Endpoints, m.PerEndpoint, mib(m.OneBytes), mib(m.ManyBytes))
	writeSettled(b, m.Settled)
	b.WriteString("What reading the longer configuration took, and Go's collector has not given back, is in it.\n\n")
}
