package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// maxConnections is how many clients may be connected, where there are descriptors for
// so many.
const maxConnections = 256

// Server is an [http.Server] of the admin API. Use [NewServer].
type Server struct {
	*http.Server
	bound *bound
}

// Serve is [http.Server.Serve], with as many connections as there may be.
func (s *Server) Serve(l net.Listener) error { return s.Server.Serve(&boundListener{l, s.bound}) }

// NewServer returns a server of the handler that [New] made, with the limits that it
// relies on. most is how many connections there are descriptors for.
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

// smallBuffer keeps the kernel from taking whole answers for clients that do not read
// them. That it could not be set makes no difference to those that do.
func smallBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(2 * piece)
	}
	return ctx
}
