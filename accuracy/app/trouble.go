package app

import (
	"io"
	"log"
	"net"
	"net/http"
	"strings"
)

// silent drops what net/http says of connections that die, which here is on purpose.
var silent = log.New(io.Discard, "", 0)

// misbehave does the troubles that need the connection itself, and reports whether it
// did one. n counts the connection's requests.
func (a *App) misbehave(w http.ResponseWriter, t Trouble, n int64) bool {
	var say string
	reset := false
	switch t {
	case ResetBefore:
		reset = true
	case ResetAmid:
		say, reset = "HTTP/1.1 200 OK\r\nContent-Ty", true
	case ResetAfter:
		say, reset = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true
	case Cut:
		say = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
	case Garbage:
		say = "220 mail.example ESMTP ready\r\n"
	case HugeHead:
		say = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Large: " + strings.Repeat("x", 100<<10) + "\r\n\r\n"
	case CloseReused:
		if n == 1 {
			return false
		}
	default:
		return false
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return false
	}
	_, _ = io.WriteString(conn, say) // an error means that the caller went away
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // a failure makes it a close
	}
	conn.Close()
	return true
}
