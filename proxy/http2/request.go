package http2

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// pseudo is a set of pseudo-fields (RFC 9113 section 8.3).
type pseudo uint8

const (
	pseudoMethod pseudo = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoStatus
)

func pseudoByName(name string) pseudo {
	switch name {
	case ":method":
		return pseudoMethod
	case ":scheme":
		return pseudoScheme
	case ":authority":
		return pseudoAuthority
	case ":path":
		return pseudoPath
	case ":protocol": // RFC 8441 section 4
		return pseudoProtocol
	case ":status":
		return pseudoStatus
	}
	return 0
}

// addPseudo takes in a pseudo-field.
func (l *headerList) addPseudo(name, value string) {
	p := pseudoByName(name)
	switch {
	case l.trailers:
		l.bad(fault.BadHeader, "a pseudo-field among the trailers")
	case p == 0:
		l.bad(fault.BadHeader, "an unknown pseudo-field")
	case l.response != (p == pseudoStatus):
		l.bad(fault.BadHeader, name+" is no pseudo-field of such a message")
	case l.seen&p != 0:
		l.bad(fault.BadHeader, name+" is there twice")
	case l.began:
		l.bad(fault.BadHeader, name+" comes after a regular field")
	default:
		l.seen |= p
		if reason := l.notePseudo(p, value); reason != "" {
			l.bad(fault.BadRequest, name+" "+reason)
		}
	}
}

// notePseudo keeps a pseudo-field's value, or says what is wrong with it.
func (l *headerList) notePseudo(p pseudo, value string) (reason string) {
	switch p {
	case pseudoMethod:
		if !message.All(value, message.InToken) {
			return "is not a token"
		}
		l.method = l.put(value)
	case pseudoScheme:
		switch {
		case message.EqualFold(value, "http"):
			l.scheme = "http"
		case message.EqualFold(value, "https"):
			l.scheme = "https"
		default:
			return "is neither http nor https"
		}
	case pseudoAuthority:
		if reason := message.BadHost(value); reason != "" {
			return reason
		}
		l.fields++ // it is the Host field of this request
		name := l.put("host")
		l.authority = l.put(value)
		l.dest.head.AddDecoded(message.Host, name, l.authority)
	case pseudoPath:
		if reason := badPath(value, true); reason != "" {
			return reason
		}
		l.path = l.put(value)
		if q := strings.IndexByte(value, '?'); q >= 0 {
			l.query = message.Span{Off: l.path.Off + uint32(q) + 1, Len: l.path.Len - uint32(q) - 1}
		}
	case pseudoProtocol:
		if !message.All(value, message.InToken) {
			return "is not a token"
		}
		l.protocol = l.put(value)
	case pseudoStatus:
		l.status, reason = message.ParseStatus(value)
		return reason
	}
	return ""
}

// noteHost takes in a Host field, which must say what :authority says, compared
// by scheme, and is dropped then (RFC 9113 section 8.3.1): what is sent on is
// :authority as it came.
func (l *headerList) noteHost(value string) (reason string, kept bool) {
	switch reason := message.BadHost(value); {
	case l.response || l.trailers:
		return "", true
	case l.host:
		return "Host is there twice", false
	case reason != "":
		return "Host " + reason, false
	}
	l.host = true
	if l.seen&pseudoAuthority == 0 {
		return "", true
	}
	if !message.SameAuthority(value, l.text(l.authority), l.scheme) {
		return "Host is not the same as :authority", false
	}
	return "", false
}

// endRequest makes a request of the list. ended tells that nothing follows.
func (l *headerList) endRequest(ended bool) {
	l.end()
	h := &l.dest.head
	if l.seen&pseudoMethod != 0 {
		h.Method = message.MethodByName(h.Bytes(l.method))
	}
	none := message.Span{}
	if reason := l.badTarget(h.Method); reason != "" {
		l.bad(fault.BadRequest, reason)
	}
	switch {
	case l.seen&pseudoProtocol != 0 && l.why == nil:
		l.upgrade(h)
	case h.Method == message.CONNECT:
		h.Form = message.Authority
		h.SetRequestLine(l.method, l.authority, none, l.authority, none, none)
	default:
		path := l.withoutQuery()
		if path.Len == 1 && l.dest.wire[path.Off] == '*' {
			h.Form = message.Asterisk
		}
		h.SetRequestLine(l.method, l.path, none, none, path, l.query)
	}
	l.frame(h, ended)
}

// badTarget says what is wrong with which pseudo-fields there are (RFC 9113
// sections 8.3.1 and 8.5, RFC 8441 section 4).
func (l *headerList) badTarget(m message.Method) string {
	const whole = pseudoMethod | pseudoScheme | pseudoPath
	switch {
	case l.seen&pseudoMethod == 0:
		return "no :method"
	case m == message.CONNECT && l.seen&pseudoProtocol == 0:
		if l.seen != pseudoMethod|pseudoAuthority {
			return "CONNECT has other pseudo-fields than :method and :authority"
		}
		if reason := message.BadHostPort(l.text(l.authority)); reason != "" {
			return ":authority " + reason
		}
	case l.seen&whole != whole:
		return "no :scheme or no :path"
	case l.seen&pseudoAuthority == 0 && !l.host:
		return "neither :authority nor Host"
	case l.seen&pseudoProtocol != 0 && (m != message.CONNECT || l.seen&pseudoAuthority == 0):
		return ":protocol without CONNECT or :authority"
	case l.path.Len == 1 && l.dest.wire[l.path.Off] == '*' && m != message.OPTIONS:
		return "the path \"*\" is for OPTIONS alone"
	}
	return ""
}

// upgrade makes of an extended CONNECT what it is in HTTP/1: a GET that asks to
// change protocols.
func (l *headerList) upgrade(h *message.Head) {
	method := l.put("GET")
	name := l.put(message.Upgrade.String())
	h.Rebase(l.dest.wire)
	h.Method, h.Upgrade = message.GET, true
	h.AddDecoded(message.Upgrade, name, l.protocol)
	h.SetRequestLine(method, l.path, message.Span{}, message.Span{}, l.withoutQuery(), l.query)
}

// withoutQuery is the path alone.
func (l *headerList) withoutQuery() message.Span {
	path := l.path
	if l.query.Off != 0 {
		path.Len = l.query.Off - 1 - path.Off
	}
	return path
}

// frame decides how long the content of a request is.
func (l *headerList) frame(h *message.Head, ended bool) {
	switch {
	case h.Upgrade || h.Form == message.Authority:
		if l.length > 0 {
			l.bad(fault.BadFraming, "a CONNECT request with a Content-Length")
		}
	case ended:
		if l.length > 0 {
			l.bad(fault.BadFraming, "Content-Length announces content and none follows")
		}
	case l.length >= 0:
		h.Framing, h.Length = message.ByLength, l.length
	default:
		h.Framing, h.Length = message.Chunked, -1
	}
	h.Expect = l.expect && h.HasBody()
}
