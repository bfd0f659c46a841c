package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many clients may be connected. One more costs the one its
// connection that has waited longest without a request: whoever connects now is more
// likely to be honest than who holds a connection and says nothing.
const maxConnections = 256

// NewServer returns a server of the handler that [New] made, with the limits that it
// relies on.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	w := &waiting{since: make(map[net.Conn]time.Time)}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext:       smallBuffer,
		ConnState:         w.changed,
	}
}

// smallBuffer keeps the kernel from taking whole answers for clients that do not read
// them. That it could not be set makes no difference to those that do.
func smallBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(2 * piece)
	}
	return ctx
}

// waiting are the connections that have no request under way.
type waiting struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time
	open  int
}

func (w *waiting) changed(c net.Conn, state http.ConnState) {
	if victim := w.note(c, state); victim != nil {
		victim.Close()
	}
}

// note returns the connection that is to be closed, if one is.
func (w *waiting) note(c net.Conn, state http.ConnState) (victim net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch state {
	case http.StateNew:
		w.open++
		w.since[c] = time.Now()
	case http.StateIdle:
		w.since[c] = time.Now()
	case http.StateActive:
		delete(w.since, c)
	case http.StateClosed, http.StateHijacked:
		delete(w.since, c)
		w.open--
	}
	if state != http.StateNew || w.open <= maxConnections {
		return nil
	}
	for other, since := range w.since {
		if victim == nil || since.Before(w.since[victim]) {
			victim = other
		}
	}
	delete(w.since, victim) // once
	return victim
}
