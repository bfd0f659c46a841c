package http1

import (
	"strconv"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Persistence is what a head says of the connection that it is sent on: its
// Connection field, which the encoder writes and nobody else.
type Persistence uint8

const (
	// Persist says nothing: connections of HTTP/1.1 persist.
	Persist Persistence = iota
	// Close says that this is the last message on the connection.
	Close
	// KeepAlive answers an HTTP/1.0 client that asked to keep the connection.
	KeepAlive
	// SwitchProtocols asks for another protocol, or agrees to: the head's
	// Upgrade field is sent on.
	SwitchProtocols
)

// AppendRequest appends the head of a request as HTTP/1.1, empty line included:
// the head's method, the given target (see [message.Head.OriginTarget]), the fields that are
// not removed, the framing as h.Framing and h.Length have it, and p.
//
// Received Content-Length and Transfer-Encoding fields stay in their place where
// they say just what the framing says, else they are replaced; Connection,
// Keep-Alive and Proxy-Connection never go out as received. Where there is no
// Host field, the target's authority stands in for it, first of the fields: an
// HTTP/1.0 client may have sent neither, and then the caller should have added
// what the upstream expects.
//
// The other fields are written as they are. What is in h must come from a
// decoder, or be known to have no control characters.
func AppendRequest(dst []byte, h *message.Head, target []byte, p Persistence) []byte {
	dst = append(dst, h.MethodText()...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if !h.Has(message.Host) {
		dst = appendField(dst, []byte("Host"), h.Authority())
	}
	framing := h.Framing
	if framing != message.ByLength && framing != message.Chunked {
		framing = message.NoBody
	}
	return appendFields(dst, h, framing, p)
}

// AppendResponse appends the head of a response, as [AppendRequest] does that of
// a request; an empty reason becomes the usual one.
//
// A response of [message.NoBody] has a Content-Length if h.Length is not
// negative: 0 where there is nothing to send, or, in answer to HEAD, what GET
// would have got. A response of [message.UntilClose] always says
// "Connection: close". Statuses that have no body get no framing.
func AppendResponse(dst []byte, h *message.Head, p Persistence) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+h.Status/100%10), byte('0'+h.Status/10%10), byte('0'+h.Status%10), ' ')
	if reason := h.Reason(); len(reason) > 0 {
		dst = append(dst, reason...)
	} else {
		dst = append(dst, usualReason(h.Status)...)
	}
	dst = append(dst, "\r\n"...)
	framing := h.Framing
	switch {
	case framing == message.UntilClose:
		p = Close
	case h.Status < 200 || h.Status == 204:
		framing = message.NoBody
	case framing == message.NoBody && h.Length >= 0:
		framing = message.ByLength
	}
	return appendFields(dst, h, framing, p)
}

// ResponseFraming is how a body that came with the framing f goes to a client
// that speaks the version v: one without a length in chunks, so that the
// connection persists and its end is certain, or until close for HTTP/1.0.
func ResponseFraming(f message.Framing, v hop.Version) message.Framing {
	switch {
	case f == message.UntilClose && v == hop.HTTP11:
		return message.Chunked
	case f == message.Chunked && v == hop.HTTP10:
		return message.UntilClose
	}
	return f
}

// appendFields appends the fields and the empty line. Neighbouring lines that
// are sent on as they came are copied as one.
func appendFields(dst []byte, h *message.Head, framing message.Framing, p Persistence) []byte {
	lines := h.Version == hop.HTTP11 || h.Version == hop.HTTP10 // the wire holds "Name: value\r\n"
	e := encoder{h: h, framing: framing, persistence: p}
	var run []byte    // the storage of the lines that are not written yet
	var at, to uint32 // where in it they are
	own := false      // whether it is the head's own
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		if f.Removed || encoded.Has(f.ID) && !e.sendsOn(f) {
			continue
		}
		// A line goes into a run if it is "name: value\r\n" without other space,
		// and where the run ends: so whatever happened to the fields since they
		// were decoded or added, nothing else comes along.
		added := f.Name.Added()
		store := h.Wire()
		if added {
			store = h.Extra()
		}
		from, end := f.Name.Place(), f.Value.Place()+f.Value.Len+2
		if (lines || added) && f.Value.Off == f.Name.Off+f.Name.Len+2 && int(end) <= len(store) && isLine(store[from:end], f.Name.Len) {
			if run == nil || from != to || added != own {
				dst = append(dst, run[at:to]...)
				run, at, own = store, from, added
			}
			to = end
			continue
		}
		dst = append(dst, run[at:to]...)
		run, at, to = nil, 0, 0
		dst = appendField(dst, h.Bytes(f.Name), h.Bytes(f.Value))
	}
	dst = append(dst, run[at:to]...)
	return append(e.appendOwn(dst), "\r\n"...)
}

// isLine reports whether b is a line with a name of n bytes, a value and nothing else.
func isLine(b []byte, n uint32) bool {
	return b[n] == ':' && b[n+1] == ' ' && b[len(b)-2] == '\r' && b[len(b)-1] == '\n'
}

func appendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// encoder decides on the fields that are the codec's own.
type encoder struct {
	h           *message.Head
	framing     message.Framing
	persistence Persistence
	framed      bool // the framing was sent on
	te          bool // TE was sent on
}

// encoded are the fields that the encoder decides on.
var encoded = message.SetOf(message.Connection, message.KeepAlive, message.ProxyConnection, message.TE,
	message.Upgrade, message.TransferEncoding, message.ContentLength)

// sendsOn reports whether one of them is sent on as it came.
func (e *encoder) sendsOn(f *message.Field) bool {
	switch f.ID {
	case message.Connection, message.KeepAlive, message.ProxyConnection:
		return false
	case message.TE:
		e.te = true
	case message.Upgrade:
		return e.persistence == SwitchProtocols
	case message.TransferEncoding:
		same := e.framing == message.Chunked && !e.framed && message.EqualFold(e.h.Bytes(f.Value), "chunked")
		e.framed = e.framed || same
		return same
	case message.ContentLength:
		same := e.framing == message.ByLength && !e.framed && isNumber(e.h.Bytes(f.Value), e.h.Length)
		e.framed = e.framed || same
		return same
	}
	return true
}

// isNumber reports whether b is n in decimal as it is usually written.
func isNumber(b []byte, n int64) bool {
	parsed, reason := message.ParseLength(b)
	return reason == "" && parsed == n && (b[0] != '0' || len(b) == 1)
}

// appendOwn appends the fields that say what the codec does.
func (e *encoder) appendOwn(dst []byte) []byte {
	switch {
	case e.framed:
	case e.framing == message.Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case e.framing == message.ByLength:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, e.h.Length, 10)
		dst = append(dst, "\r\n"...)
	}
	if e.te { // RFC 9110 section 10.1.4 wants it named
		return append(append(append(dst, "Connection: "...), [...]string{"", "close, ", "keep-alive, ", "upgrade, "}[e.persistence]...), "TE\r\n"...)
	}
	switch e.persistence {
	case Close:
		dst = append(dst, "Connection: close\r\n"...)
	case KeepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	case SwitchProtocols:
		dst = append(dst, "Connection: upgrade\r\n"...)
	}
	return dst
}

// AppendChunkHeader appends what comes before the n > 0 bytes of a chunk's
// data; "\r\n" comes after them.
func AppendChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends what ends a chunked body, with the trailers or nil
// for none.
func AppendLastChunk(dst []byte, trailers *message.Head) []byte {
	dst = append(dst, "0\r\n"...)
	if trailers != nil {
		return appendFields(dst, trailers, message.NoBody, Persist)
	}
	return append(dst, "\r\n"...)
}
