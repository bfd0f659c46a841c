package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// pair is a row of a check: the same configuration run by two binaries.
type pair struct {
	row        checkRow
	this, base *proxy    // of the last round; they count what went through all of them
	micros     []float64 // CPU a request of this tree, one a round
	baseMicros []float64 // of the other revision, in the same round
}

// compare measures every row in each of so many rounds.
func (r *rig) compare(ctx context.Context, progress io.Writer, rows []checkRow, rounds int) ([]*pair, error) {
	var pairs []*pair
	for _, row := range rows {
		pairs = append(pairs, &pair{row: row})
	}
	for round := range rounds {
		for _, p := range pairs {
			if err := r.compareOnce(ctx, p, round); err != nil {
				return nil, fmt.Errorf("round %d: %w", round+1, err)
			}
			fmt.Fprintf(progress, "round %d/%d  %-10s %7.2f us/request, base %7.2f\n", round+1, rounds, p.row.name, p.micros[round], p.baseMicros[round])
		}
	}
	return pairs, nil
}

// compareOnce measures both sides of a pair for one round. Its processes are new, and so
// are their files: where the system happens to put a program in memory can make it faster
// or slower for as long as it stays there.
func (r *rig) compareOnce(ctx context.Context, p *pair, round int) (err error) {
	if err := r.startPair(ctx, p); err != nil {
		return err
	}
	defer func() {
		for _, side := range []*proxy{p.this, p.base} {
			side.stop()
			err = errors.Join(err, side.takeLog())
		}
	}()
	first, second := p.this, p.base
	if round%2 == 1 {
		first, second = second, first
	}
	for _, side := range []*proxy{first, second} {
		if _, err := r.put(ctx, side, p.row.cell, r.opts.warmup); err != nil {
			return side.failure(fmt.Errorf("warm up %s: %w", side.variant.name, err))
		}
	}
	of, err := r.measureAlternating(ctx, first, second, round, p.row.cell)
	if err != nil {
		return err
	}
	p.micros, p.baseMicros = append(p.micros, of[p.this]), append(p.baseMicros, of[p.base])
	return nil
}

// startPair runs both sides of a pair, which the caller must stop unless there is an error.
func (r *rig) startPair(ctx context.Context, p *pair) error {
	v, ok := r.opts.variant(p.row.variant)
	if !ok {
		return fmt.Errorf("the rig has no variant %q", p.row.variant)
	}
	this, base := v, v
	this.name = p.row.name // two rows may have the same variant
	base.name, base.program = p.row.name+"-base", hopscopeBase
	for _, program := range []string{this.program, base.program} {
		if err := renew(r.programs[program]); err != nil {
			return err
		}
	}
	var err error
	if p.this, err = r.replaceProxy(ctx, this, p.this); err != nil {
		return err
	}
	if p.base, err = r.replaceProxy(ctx, base, p.base); err != nil {
		p.this.stop()
	}
	return err
}

// piece is how much of a program is written at once, in bytes: about what tar, cp and the
// tools of containers write.
const piece = 64 << 10

// renew puts a copy of a program in its place, which has other pages of memory. How it is
// written decides how it lies there: a file written in one go can get pages of 2 MiB, which
// no installed program has, and which change what a request costs by several per cent.
func renew(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(content, piece) {
		if _, err := f.Write(part); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// replaceProxy starts a proxy that goes on counting where a former one, if any, ended.
func (r *rig) replaceProxy(ctx context.Context, v variant, former *proxy) (*proxy, error) {
	p, err := r.startProxy(ctx, v)
	if err == nil && former != nil {
		p.requests, p.lines = former.requests, former.lines
	}
	return p, err
}

// undelivered are the views that did not arrive as configured. The proxies must have ended.
func (r *rig) undelivered(pairs []*pair) ([]delivery, error) {
	counts, err := r.sink.counts()
	if err != nil {
		return nil, err
	}
	var missing []delivery
	for _, p := range pairs {
		for _, side := range []*proxy{p.this, p.base} {
			missing = append(missing, slices.DeleteFunc(side.deliveries(counts), func(d delivery) bool { return !d.Undelivered })...)
		}
	}
	return missing, nil
}
