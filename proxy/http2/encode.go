package http2

import (
	"bytes"
	"strconv"

	"github.com/hopscope/hopscope/proxy/message"
)

// appendRequest appends the header list of a request. scheme is the
// connection's.
func appendRequest(dst []byte, h *message.Head, scheme string) []byte {
	authority := h.Authority()
	if host, ok := h.Get(message.Host); ok && h.Method != message.CONNECT {
		authority = host
	}
	switch {
	case h.Method == message.CONNECT: // RFC 9113 section 8.5
		dst = appendLiteral(dst, indexGET, []byte("CONNECT"), literal)
		dst = appendLiteral(dst, indexAuthority, authority, literal)
		return appendFields(dst, h, message.NoBody)
	case h.Upgrade: // RFC 8441 section 4
		dst = appendLiteral(dst, indexGET, []byte("CONNECT"), literal)
		dst = appendNew(dst, []byte(":protocol"), protocolOf(h), literal)
	case h.Method == message.GET:
		dst = appendIndexed(dst, indexGET)
	case h.Method == message.POST:
		dst = appendIndexed(dst, indexPOST)
	default:
		dst = appendLiteral(dst, indexGET, h.MethodText(), literal)
	}
	if scheme == "https" {
		dst = appendIndexed(dst, indexHTTPS)
	} else {
		dst = appendIndexed(dst, indexHTTP)
	}
	if len(authority) > 0 {
		dst = appendLiteral(dst, indexAuthority, authority, literal)
	}
	if path := h.OriginTarget(); len(path) == 1 && path[0] == '/' {
		dst = appendIndexed(dst, indexSlash)
	} else {
		dst = appendLiteral(dst, indexSlash, path, literal)
	}
	framing := h.Framing
	if framing != message.ByLength {
		framing = message.NoBody
	}
	return appendFields(dst, h, framing)
}

// protocolOf is what a request asks to change to: the first of its offers.
func protocolOf(h *message.Head) []byte {
	offers, _ := h.Get(message.Upgrade)
	first, _, _ := bytes.Cut(offers, []byte(","))
	return bytes.Trim(first, " \t")
}

// appendResponse appends the header list of a response. A tunnel begins by 200,
// whatever HTTP/1 says there (RFC 8441 section 5).
func appendResponse(dst []byte, h *message.Head) []byte {
	status, framing := h.Status, h.Framing
	switch {
	case status == 101:
		status = 200
	case framing == message.Tunnel:
	case status < 200 || status == 204:
		framing = message.NoBody
	case framing == message.NoBody && h.Length >= 0:
		framing = message.ByLength
	}
	dst = appendStatus(dst, status)
	return appendFields(dst, h, framing)
}

func appendStatus(dst []byte, status int) []byte {
	for i, s := range [...]int{200, 204, 206, 304, 400, 404, 500} {
		if s == status {
			return appendIndexed(dst, indexStatus200+uint8(i))
		}
	}
	digits := [3]byte{byte('0' + status/100%10), byte('0' + status/10%10), byte('0' + status%10)}
	return appendLiteral(dst, indexStatus200, digits[:], literal)
}

// appendTrailers appends the header list of trailers, without what may stand in
// no trailers at all.
func appendTrailers(dst []byte, h *message.Head) []byte {
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		name := h.Bytes(f.Name)
		switch {
		case f.Removed || !message.OfCall.Allows(name):
		case f.ID == message.Unknown:
			dst = appendUnknown(dst, name, h.Bytes(f.Value), false)
		default:
			dst = appendKnown(dst, f.ID, h.Bytes(f.Value))
		}
	}
	return dst
}

// notSent are the fields that HTTP/2 says otherwise, or not at all (RFC 9113
// section 8.2.2), and a request's Host, which is its :authority.
var notSent = message.SetOf(message.Connection, message.KeepAlive, message.ProxyConnection,
	message.TransferEncoding, message.Upgrade, message.Host, message.TE, message.ContentLength)

// appendFields appends the fields that are not removed, and Content-Length as
// the framing has it.
func appendFields(dst []byte, h *message.Head, framing message.Framing) []byte {
	te := false
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Removed:
		case f.ID == message.Unknown:
			dst = appendUnknown(dst, h.Bytes(f.Name), h.Bytes(f.Value), h.Upgrade)
		case !notSent.Has(f.ID), f.ID == message.Host && h.Status != 0:
			dst = appendKnown(dst, f.ID, h.Bytes(f.Value))
		case f.ID == message.TE:
			te = te || message.WantsTrailers(h.Bytes(f.Value))
		}
	}
	if te && h.Status == 0 {
		dst = appendNew(dst, []byte("te"), []byte("trailers"), literal)
	}
	if framing == message.ByLength {
		var digits [20]byte
		dst = appendLiteral(dst, indexContentLength, strconv.AppendInt(digits[:0], h.Length, 10), literal)
	}
	return dst
}

// appendKnown appends a field whose name has a number.
func appendKnown(dst []byte, id message.FieldID, value []byte) []byte {
	kind := byte(literal)
	if id == message.Cookie || id == message.ProxyAuthorization {
		kind = neverIndexed
	}
	if index := known[id]; index > 0 {
		return appendLiteral(dst, index, value, kind)
	}
	return appendNew(dst, []byte(id.String()), value, kind)
}

// appendUnknown appends a field whose name has none. upgrade is true in the
// handshake of another protocol, whose HTTP/1 parts stay behind.
func appendUnknown(dst, name, value []byte, upgrade bool) []byte {
	var space [64]byte
	small := space[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		small = append(small, c)
	}
	switch string(small) {
	case "http2-settings":
		return dst
	case "sec-websocket-key", "sec-websocket-accept":
		if upgrade {
			return dst
		}
	case "authorization", "set-cookie":
		return appendLiteral(dst, indices[string(small)], value, neverIndexed)
	}
	if index := indices[string(small)]; index > 0 {
		return appendLiteral(dst, index, value, literal)
	}
	return appendNew(dst, small, value, literal)
}
