package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// callError is the failure of a call.
type callError struct {
	to  string
	why string
}

func (e *callError) Error() string { return e.to + " failed: " + e.why }

// caller has the connections to the sidecar.
type caller struct {
	client *http.Client
	conns  map[string]*grpc.ClientConn // by callee
}

func (c *caller) open(s Spec) error {
	var d net.Dialer
	c.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		// Requests name the callee in Host, and go to the sidecar whatever the name.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", s.Out)
		},
		MaxIdleConnsPerHost: 64,
	}}
	c.conns = make(map[string]*grpc.ClientConn)
	for _, call := range s.Calls {
		if call.GRPC && c.conns[call.To] == nil {
			conn, err := dial(s.Out, call.To)
			if err != nil {
				return err
			}
			c.conns[call.To] = conn
		}
	}
	return nil
}

func (c *caller) close() {
	c.client.CloseIdleConnections()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// callAll makes the calls of the n-th request.
func (a *App) callAll(ctx context.Context, r request, n int64) error {
	var due []Call
	for _, c := range a.Calls {
		if c.CacheFor == 0 || n%int64(c.CacheFor) == 0 {
			due = append(due, c)
		}
	}
	if !a.Concurrent {
		for _, c := range due {
			if err := a.callAsOften(ctx, r, c); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(due))
	var calls sync.WaitGroup
	for i, c := range due {
		calls.Go(func() { errs[i] = a.callAsOften(ctx, r, c) })
	}
	calls.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// callAsOften calls as often as is due, and reacts to a failure.
func (a *App) callAsOften(ctx context.Context, r request, c Call) error {
	for range max(c.Times, 1) {
		err := a.call(ctx, r, c)
		if err != nil && c.OnFailure == Retry {
			err = a.call(ctx, r, c)
		}
		switch {
		case err == nil || c.OnFailure == Swallow:
			continue
		case c.OnFailure == Late:
			pause(ctx, lateness)
		}
		return &callError{c.To, err.Error()}
	}
	return nil
}

func (a *App) call(ctx context.Context, r request, c Call) error {
	if c.GRPC {
		return invoke(ctx, a.out.conns[c.To], r, c.To)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+c.To+"/"+c.To+"/42", nil)
	if err != nil {
		return err
	}
	if r.traceparent != "" {
		req.Header.Set("Traceparent", r.traceparent)
	}
	if r.tracestate != "" {
		req.Header.Set("Tracestate", r.tracestate)
	}
	resp, err := a.out.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := read(ctx, resp.Body, c.ReadSlowly); err != nil {
		return fmt.Errorf("its answer broke off: %w", err)
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

// read reads an answer, all of it after a while if that is wanted.
func read(ctx context.Context, body io.Reader, after time.Duration) error {
	if after > 0 {
		if _, err := io.CopyN(io.Discard, body, 1); err != nil && err != io.EOF {
			return err
		}
		pause(ctx, after)
	}
	_, err := io.Copy(io.Discard, body)
	return err
}
