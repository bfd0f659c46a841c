package admin

import (
	"context"
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
	bound *bound
}

// Serve is [http.Server.Serve] with a limit on connections.
func (s *Server) Serve(l net.Listener) error { return s.Server.Serve(&boundListener{l, s.bound}) }

// NewServer returns a server for a handler from [New], with the limits that the handler
// relies on. most returns how many connections there are descriptors for.
func NewServer(handler http.Handler, log *slog.Logger, most func() int) *Server {
	b := &bound{most: most, conns: map[net.Conn]usage{}}
	return &Server{bound: b, Server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext:       smallBuffer,
		ConnState:         b.changed,
	}}
}

// smallBuffer keeps the kernel from buffering whole answers for clients that do not read
// them. An error is harmless for clients that do read.
func smallBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(2 * piece)
	}
	return ctx
}
