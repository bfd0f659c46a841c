package headers

import (
	"bytes"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// AppendServerTiming appends this hop's Server-Timing metric: the service's name, the
// milliseconds from the request's first byte until now, and the hop's direction. now is a
// duration since the Hop's Start. The direction distinguishes the two hops of a service's
// proxy. It allocates nothing.
//
// See the W3C's Server Timing, section "The Server-Timing Header Field".
func AppendServerTiming(dst []byte, h *hop.Hop, now time.Duration) []byte {
	dst = appendToken(dst, h.Labels.Service)
	dst = append(dst, ";dur="...)
	micros := max(now, 0).Microseconds()
	dst = strconv.AppendInt(dst, micros/1000, 10)
	if part := micros % 1000; part != 0 {
		dst = append(dst, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	dst = append(dst, ";desc="...)
	return append(dst, h.Labels.Direction.String()...)
}

// Inbound reports whether a Server-Timing has the metric of a service's inbound hop.
func Inbound(serverTiming []byte, service string) bool {
	_, rest, found := bytes.Cut(serverTiming, append(appendToken(nil, service), ";dur="...))
	if !found {
		return false
	}
	_, rest, found = bytes.Cut(rest, []byte(";desc="))
	return found && bytes.HasPrefix(rest, []byte("inbound"))
}

// appendToken appends name as a token of RFC 9110 section 5.6.2, with _ for characters
// that a token can't have; an empty name becomes "hop".
func appendToken(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, "hop"...)
	}
	for i := range min(len(name), maxName) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '!', c == '#', c == '$',
			c == '%', c == '&', c == '\'', c == '*', c == '^', c == '`', c == '|':
		default:
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}
