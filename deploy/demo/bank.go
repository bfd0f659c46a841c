package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// bank is the service that goes away: after every so many requests it closes
// its socket and stays away for a while, as a process that is restarted does.
// Whoever connects meanwhile is refused by the kernel.
type bank struct {
	*service
	every int64         // requests between two outages
	away  time.Duration // length of one
}

// run serves, goes away and comes back on the same address until ctx ends.
func (b *bank) run(ctx context.Context) error {
	enough := make(chan struct{}, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.ServeHTTP(w, r)
		if b.served.Load()%b.every == 0 {
			select {
			case enough <- struct{}{}:
			default:
			}
		}
	})
	addr := b.listener.Addr().String()
	for listener := b.listener; ; {
		if err := b.serveUntil(ctx, enough, listener, handler); err != nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, b.away)
		if listener = reopen(ctx, addr); listener == nil {
			return nil
		}
	}
}

// serveUntil serves on the listener until a value arrives or ctx ends, and
// lets what is in flight finish.
func (b *bank) serveUntil(ctx context.Context, enough <-chan struct{}, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: b.server.ReadHeaderTimeout, ErrorLog: b.server.ErrorLog}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("demo: %s stopped serving: %w", b.name, err)
	case <-enough:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-served
	return nil
}

// reopen listens on the address again. Another process may have taken the port
// meanwhile; then it waits until that lets go of it. It returns nil where ctx
// ends first.
func reopen(ctx context.Context, addr string) net.Listener {
	for ctx.Err() == nil {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}
