package admin

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// maxConnections is how many clients may be connected, if there are enough descriptors.
const maxConnections = 256

// Server is an [http.Server] of the admin API. Use [NewServer].
type Server struct {
	*http.Server
	// TLS encrypts connections; nil leaves them in plain text.
	TLS   *tls.Config
	bound *bound
}

// Serve is [http.Server.Serve] with a limit on connections, and with TLS.
func (s *Server) Serve(l net.Listener) error {
	l = &boundListener{l, s.bound}
	if s.TLS != nil {
		l = tls.NewListener(l, s.TLS)
	}
	return s.Server.Serve(l)
}

// NewServer returns a server for a handler from [New], with the limits that the handler
// relies on. most returns how many connections there are descriptors for.
func NewServer(handler http.Handler, log *slog.Logger, most func() int) *Server {
	b := &bound{most: most, conns: map[net.Conn]usage{}}
	ends, end := context.WithCancel(context.Background())
	s := &Server{bound: b, Server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), closingKey{}, ends) },
		ConnContext:       smallBuffer,
		ConnState:         b.changed,
	}}
	s.RegisterOnShutdown(end)
	return s
}

// closingKey is where requests find what ends when the server is about to.
type closingKey struct{}

// closing is closed when the server of a request waits for its last answers, so that those
// end that would go on for ever.
func closing(ctx context.Context) <-chan struct{} {
	if ends, ok := ctx.Value(closingKey{}).(context.Context); ok {
		return ends.Done()
	}
	return nil
}

// plain returns the connection beneath TLS.
func plain(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// smallBuffer keeps the kernel from buffering whole answers for clients that do not read
// them. An error is harmless for clients that do read.
func smallBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := plain(c).(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(2 * piece)
	}
	return ctx
}
