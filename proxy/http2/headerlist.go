package http2

import (
	"strconv"

	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// block is a head or a trailer section, and the bytes that it points into.
type block struct {
	head message.Head
	wire []byte
}

// headerList is the header list that is being decoded. It is decoded to its end whatever is
// wrong with it: else the decoder's table would no longer match the peer's.
type headerList struct {
	limits   Limits
	name     string // the peer's
	response bool   // of a server, else of a client
	trailers bool

	dest   *block // nil where nobody wants it
	size   int    // as RFC 9113 section 10.5.1 counts
	fields int
	began  bool // a regular field was seen, and no pseudo-field may follow
	seen   pseudo
	status int
	why    *fault.Error // what is wrong with it, if anything is

	method, authority, path, query, protocol message.Span

	scheme string // "http" or "https", empty where it is not said

	host    bool  // there was a Host field
	length  int64 // Content-Length, -1 for none
	expect  bool  // 100-continue
	cookie  int   // the index of the Cookie field, -1 for none
	cookies []byte
}

// begin gets ready for a list, which goes to dest.
func (l *headerList) begin(dest *block, trailers bool) {
	*l = headerList{
		limits: l.limits, name: l.name, response: l.response, trailers: trailers,
		dest: dest, length: -1, cookie: -1, cookies: l.cookies[:0],
	}
	if dest != nil {
		dest.wire = dest.wire[:0]
		dest.head.Begin(nil)
		dest.head.Version = hop.HTTP2
	}
}

// hopeless reports whether the list is too large even to be refused.
func (l *headerList) hopeless() bool { return l.size > listRoom*l.limits.HeadBytes }

// add takes in a field as the decoder emits it.
func (l *headerList) add(f hpack.HeaderField) {
	l.size += len(f.Name) + len(f.Value) + 32
	if l.dest == nil || l.why != nil {
		return
	}
	switch {
	case l.size > l.limits.HeadBytes && f.Name == ":path":
		l.bad(fault.URITooLong, "the target is longer than "+strconv.Itoa(l.limits.HeadBytes)+" bytes")
	case l.size > l.limits.HeadBytes:
		l.bad(fault.HeaderTooLarge, l.what()+" is larger than "+strconv.Itoa(l.limits.HeadBytes)+" bytes")
	case f.Name != "" && f.Name[0] == ':':
		l.addPseudo(f.Name, f.Value)
	default:
		l.addField(f.Name, f.Value)
	}
}

// addField takes in a regular field.
func (l *headerList) addField(name, value string) {
	l.began = true
	if reason := badName(name); reason != "" {
		l.badField(fault.BadHeader, reason)
		return
	}
	if reason := badValue(value); reason != "" {
		l.badField(fault.BadHeader, reason)
		return
	}
	nameSpan := l.put(name)
	id := message.FieldByName(l.dest.wire[nameSpan.Off:])
	if noted.Has(id) {
		if reason, kept := l.note(id, value); reason != "" || !kept {
			if reason != "" {
				l.badField(fault.BadHeader, reason)
			}
			return
		}
	}
	if l.fields++; l.fields > l.limits.Fields {
		l.bad(fault.HeaderTooLarge, l.what()+" has more than "+strconv.Itoa(l.limits.Fields)+" fields")
		return
	}
	l.dest.head.AddDecoded(id, nameSpan, l.put(value))
}

// noted are the fields that note is for.
var noted = message.SetOf(message.Connection, message.KeepAlive, message.ProxyConnection,
	message.TransferEncoding, message.Upgrade, message.TE, message.ContentLength, message.Host, message.Expect,
	message.Cookie)

// note takes in a field that bears on the whole message, or that HTTP/2 has no
// use for (RFC 9113 section 8.2.2). kept is false where it is not to be added.
func (l *headerList) note(id message.FieldID, value string) (reason string, kept bool) {
	switch id {
	case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		return id.String() + " has no place in HTTP/2", false
	case message.TE:
		if !l.response && !message.EqualFold(value, "trailers") {
			return "te is not \"trailers\"", false
		}
	case message.ContentLength:
		return l.noteLength(value), true
	case message.Host:
		return l.noteHost(value)
	case message.Expect:
		l.expect = l.expect || message.WantsContinue(value)
	case message.Cookie:
		return "", l.response || l.trailers || l.noteCookie(value)
	}
	return "", true
}

// noteLength takes in Content-Length: one line of one number.
func (l *headerList) noteLength(value string) string {
	n, reason := message.ParseLength(value)
	switch {
	case l.trailers:
		return ""
	case l.length >= 0:
		return "Content-Length is there twice"
	case reason != "":
		return "Content-Length " + reason
	}
	l.length = n
	return ""
}

// noteCookie joins the crumbs of a cookie into one field, which HTTP/1 requires (RFC 9113
// section 8.2.3). It reports whether this is the first crumb, whose field stands for all.
func (l *headerList) noteCookie(value string) bool {
	first := l.cookie < 0
	if first {
		l.cookie = len(l.dest.head.Fields)
	} else {
		l.cookies = append(l.cookies, "; "...)
	}
	l.cookies = append(l.cookies, value...)
	return first
}

// end is called when the list is whole: what is added to it since is in the
// head's own storage.
func (l *headerList) end() {
	d := l.dest
	if l.cookie >= 0 && l.cookie < len(d.head.Fields) {
		f := &d.head.Fields[l.cookie]
		if int(f.Value.Len) != len(l.cookies) {
			f.Value = l.put(string(l.cookies))
		}
	}
	d.head.Rebase(d.wire)
}

// put keeps s.
func (l *headerList) put(s string) message.Span {
	off := len(l.dest.wire)
	l.dest.wire = append(l.dest.wire, s...)
	return message.Span{Off: uint32(off), Len: uint32(len(s))}
}

// text is what a span is the place of.
func (l *headerList) text(s message.Span) string { return string(l.dest.wire[s.Off : s.Off+s.Len]) }

func (l *headerList) what() string {
	if l.trailers {
		return "the trailer section"
	}
	return "the head"
}

// bad notes the first thing that is wrong. kind is a request's.
func (l *headerList) bad(kind fault.Kind, reason string) {
	if l.why != nil {
		return
	}
	if l.response {
		reason = l.name + " sent a response that can't be understood: " + reason
		if kind == fault.HeaderTooLarge {
			kind = fault.UpstreamHeader
		} else {
			kind = fault.UpstreamProtocol
		}
	}
	l.why = fault.New(kind, reason)
}

// badField refuses the regular field that is being added, counted from 1.
func (l *headerList) badField(kind fault.Kind, reason string) {
	place := "field "
	if l.trailers {
		place = "trailer field "
	}
	l.bad(kind, place+strconv.Itoa(l.fields+1)+": "+reason)
}

// endTrailers makes trailers of the list. What must not come in a request's is
// marked as removed. Of a response's that is only what may come in none: whether
// it answers a gRPC call, the caller knows (see [message.Trailing]).
func (l *headerList) endTrailers() {
	l.end()
	of := message.OfRequest
	if l.response {
		of = message.OfCall
	}
	l.dest.head.StripTrailers(of)
}
