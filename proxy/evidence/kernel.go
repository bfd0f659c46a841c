package evidence

import (
	"log/slog"
	"net"
)

// Kernel answers questions about connections. Any goroutine may call its methods. A nil
// Kernel says nothing.
type Kernel struct {
	log *slog.Logger
}

// New returns a Kernel. log is told once if the kernel refuses to answer.
func New(log *slog.Logger) *Kernel { return &Kernel{log: log} }

// Connection says what the kernel knows of a connection that carries an attempt. It is
// empty if that is nothing, or if nc is closed or not a socket of TCP.
func (k *Kernel) Connection(nc net.Conn, a Attempt) string {
	if k == nil {
		return ""
	}
	c, ok := look(nc)
	if !ok {
		return ""
	}
	return a.say(&c)
}
