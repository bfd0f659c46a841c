package http1

import (
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
)

// hopByHop are the fields that are about one connection (RFC 9110 section
// 7.6.1), and Trailer, which must not announce what is not sent on.
var hopByHop = message.SetOf(message.Connection, message.KeepAlive, message.ProxyConnection, message.TE,
	message.Trailer, message.Upgrade)

// StripHopByHop marks as removed what must not pass an intermediary: Connection
// and each field that it names, Keep-Alive, Proxy-Connection, Upgrade except
// where h.Upgrade is set, and TE except for "trailers". It costs next to nothing
// where there is none of them.
//
// An option of Connection that names a field which the proxy itself acts on
// ([message.Guarded]: framing, Host, forwarding, trace context) is ignored: such
// a field is never meant for one connection, and naming it is an attack.
// So that a client can remove only what it sent itself, call StripHopByHop
// before fields are added.
//
// Content-Length and Transfer-Encoding are not its business: [AppendRequest] and
// [AppendResponse] write them as the Head's framing has it.
func StripHopByHop(h *message.Head) {
	if !h.HasAny(hopByHop) {
		return
	}
	if h.Has(message.Connection) {
		for i := range h.Fields {
			if f := &h.Fields[i]; f.ID == message.Connection {
				stripNamed(h, h.Bytes(f.Value))
			}
		}
		h.Remove(message.Connection)
	}
	h.Remove(message.KeepAlive)
	h.Remove(message.ProxyConnection)
	if !h.Upgrade {
		h.Remove(message.Upgrade)
	}
	if h.Has(message.TE) {
		stripTE(h)
	}
	if h.Has(message.Trailer) {
		stripTrailer(h)
	}
}

// stripNamed removes the fields that a Connection field names.
func stripNamed(h *message.Head, options []byte) {
	for options != nil {
		var option []byte
		option, options = nextElement(options)
		switch {
		case len(option) == 0, message.EqualFold(option, "keep-alive"): // guarded, and in nearly every response
		case !message.PropertiesOf(option).Has(message.Guarded):
			h.RemoveName(option)
		}
	}
}

// stripTE leaves "trailers" of TE, which the proxy can live up to, and nothing
// else (RFC 9110 section 10.1.4).
func stripTE(h *message.Head) {
	kept := false
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != message.TE || f.Removed {
			continue
		}
		value := h.Bytes(f.Value)
		switch {
		case kept || h.Status != 0 || !message.WantsTrailers(value):
			f.Removed = true
		case len(value) != len("trailers"):
			f.Value = h.Own("trailers")
			fallthrough
		default:
			kept = true
		}
	}
	if !kept {
		h.Remove(message.TE)
	}
}

// trailing returns the rules for the trailers that follow a head.
func trailing(h *message.Head) message.Trailing {
	if h.Status == 0 {
		return message.OfRequest
	}
	if value, ok := h.Get(message.ContentType); ok && grpc.IsContent(value) {
		return message.OfCall
	}
	return message.OfResponse
}

// stripTrailer removes Trailer where no trailer section can follow, or where it
// announces a field that is not let through.
func stripTrailer(h *message.Head) {
	keep, of := h.Framing == message.Chunked, trailing(h)
	for i := range h.Fields {
		if f := &h.Fields[i]; keep && f.ID == message.Trailer && !f.Removed {
			for list := h.Bytes(f.Value); list != nil && keep; {
				var name []byte
				name, list = nextElement(list)
				keep = message.All(name, inToken) && of.Allows(name)
			}
		}
	}
	if !keep {
		h.Remove(message.Trailer)
	}
}
