package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hopscope/hopscope/mesh"
)

// How a member is told something: for so long, and so many at once. One that did not take
// it is left alone for a time, which doubles up to the longest.
const (
	tellTime    = time.Second
	tellAtOnce  = 64
	restFirst   = time.Second
	restLongest = 30 * time.Second
)

// teller is what is known of telling a member.
type teller struct {
	busy  bool
	until time.Time // when it may be told again
	rest  time.Duration
	none  bool // it has nothing to do with what it is told
}

// Tell posts a body to a path below /v1 of every other member, and does not wait for that.
// A member that has not taken the last one yet, or did not of late, is left out. Tell returns
// how many were. It calls skipped for each other one that does not take the body in the end.
// A member that does not know the path counts as neither.
func (p *Peers) Tell(path string, body []byte, skipped func()) (left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.context.Err() != nil {
		return 0
	}
	now := time.Now()
	for address, m := range p.members {
		switch t := &m.teller; {
		case m.foreign:
		case t.busy || now.Before(t.until):
			if !t.none {
				left++
			}
		default:
			t.busy = true
			p.asking.Go(func() { p.tell(m, address, path, body, skipped) })
		}
	}
	return left
}

// tell posts to one member.
func (p *Peers) tell(m *member, address, path string, body []byte, skipped func()) {
	ctx, cancel := context.WithTimeout(p.context, tellTime)
	defer cancel()
	err := p.post(ctx, address, path, body)
	none := errors.Is(err, errNone)
	if err != nil && !none {
		skipped()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &m.teller
	t.busy, t.none = false, none
	switch {
	case err == nil:
		t.rest = 0
		return
	case none:
		t.rest = restLongest
	default:
		t.rest = min(max(2*t.rest, restFirst), restLongest)
	}
	t.until = time.Now().Add(t.rest)
}

// errNone is the error of a member that does not know the path: it is of an older version,
// or its configuration has no use for it.
var errNone = errors.New("it has no such path")

func (p *Peers) post(ctx context.Context, address, path string, body []byte) error {
	select {
	case p.telling <- struct{}{}:
		defer func() { <-p.telling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	resp, err := p.options.Caller.Send(ctx, mesh.Call{Method: http.MethodPost, Address: address, Path: path, Body: body})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil { // so that the connection can be used again
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return errNone
	}
	return fmt.Errorf("it answered %d", resp.StatusCode)
}
