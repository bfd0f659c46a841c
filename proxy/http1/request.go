package http1

import (
	"bytes"
	"strconv"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// isPreface2 reports whether line begins as HTTP/2 does (RFC 9113 section 3.4).
func isPreface2(line []byte) bool {
	const preface = "PRI * HTTP/2"
	return len(line) >= len(preface) && string(line[:len(preface)]) == preface
}

// handshake is the first byte of a TLS handshake (RFC 8446 section 5.1).
const handshake = 0x16

// requestLine reads the request line (RFC 9112 section 3); ok is false where it
// is not whole yet.
func (d *HeadDecoder) requestLine(buf []byte, h *message.Head) (ok bool, err error) {
	if d.pos == 0 && len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		d.pos, d.scanned = 2, 2
	}
	end := d.lineEnd(buf, max(d.pos, d.Limits.HeadBytes))
	if end < 0 {
		return false, d.partialRequestLine(buf)
	}
	line := buf[d.pos:end]
	if isPreface2(line) || len(line) > 0 && line[0] == handshake {
		return false, d.badMethod(line, 0)
	}
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return false, d.badRequest("the line ends in a bare LF")
	}
	line = line[:len(line)-1]
	n := span(line, inToken)
	if n == 0 || n == len(line) || line[n] != ' ' {
		return false, d.badMethod(line, n)
	}
	h.Method = message.MethodByName(line[:n])
	target := line[n+1:]
	t := span(target, inTarget)
	if t == 0 || t == len(target) || target[t] != ' ' {
		return false, d.badTarget(target, t)
	}
	switch version := target[t+1:]; string(version) {
	case "HTTP/1.1":
		h.Version = hop.HTTP11
	case "HTTP/1.0":
		h.Version = hop.HTTP10
	default:
		return false, d.badVersion(version)
	}
	if reason := setTarget(h, d.pos, n, target[:t]); reason != "" {
		return false, d.badRequest(reason)
	}
	d.pos, d.scanned = end+1, end+1
	return true, nil
}

// partialRequestLine refuses what can't become a request line.
func (d *HeadDecoder) partialRequestLine(buf []byte) error {
	bound := max(d.pos, d.Limits.HeadBytes)
	window := buf[:min(len(buf), bound)]
	if line := window[d.pos:]; len(line) > 0 && !(d.pos == 0 && string(line) == "\r") {
		// A method is short, and the rest is looked at when the line is whole.
		n := span(line[:min(len(line), 24)], inToken)
		if n == 0 || n < min(len(line), 24) && line[n] != ' ' || isPreface2(line) {
			return d.badMethod(line, n)
		}
	}
	if reason := d.partialLine(window); reason != "" {
		return d.badRequest(reason)
	}
	if len(window) == bound {
		return d.fail(fault.URITooLong, "the request line is longer than "+strconv.Itoa(bound)+" bytes")
	}
	return nil
}

func (d *HeadDecoder) badRequest(reason string) error {
	return d.fail(fault.BadRequest, "request line: "+reason)
}

// badMethod says why the first n bytes of line, with a space, are no method.
func (d *HeadDecoder) badMethod(line []byte, n int) error {
	switch {
	case len(line) == 0:
		return d.badRequest("an empty line where it should be")
	case isPreface2(line):
		return d.fail(fault.VersionUnsupported, "request line: the preface of HTTP/2, which is not spoken on this connection")
	case line[0] == handshake:
		return d.badRequest("a TLS handshake, but this port speaks plain HTTP: use http://, or a port with TLS")
	case n == 0 && line[0] == ' ' || n == 0 && line[0] == '\t':
		return d.badRequest("the line begins with whitespace")
	case n == len(line):
		return d.badRequest("no target after the method")
	case !message.Is(line[n], inValue):
		return d.badRequest(controlIn(line[n:]))
	}
	return d.badRequest("byte 0x" + message.HexByte(line[n]) + " in the method")
}

// badTarget says why the first t bytes of b, with a space, are no target.
func (d *HeadDecoder) badTarget(b []byte, t int) error {
	switch {
	case t == 0 && len(b) > 0 && b[0] == ' ':
		return d.badRequest("more than one space after the method")
	case t == 0 && len(b) == 0:
		return d.badRequest("no target after the method")
	case t == len(b):
		return d.badRequest("no version after the target")
	case b[t] == '#':
		return d.badRequest("a fragment ('#') in the target")
	case !message.Is(b[t], inValue):
		return d.badRequest(controlIn(b[t:]))
	}
	return d.badRequest("byte 0x" + message.HexByte(b[t]) + " in the target: percent-encode it")
}

// badVersion says why b, what stands after the target and its space, is not a
// version that is spoken here.
func (d *HeadDecoder) badVersion(b []byte) error {
	switch {
	case isVersion(b):
		return d.fail(fault.VersionUnsupported, "request line: a version other than HTTP/1.0 and HTTP/1.1")
	case len(b) == 0:
		return d.badRequest("no version after the target")
	case !isValue(b):
		return d.badRequest(controlIn(b))
	case bytes.IndexByte(b, ' ') >= 0:
		return d.badRequest("a space too many")
	}
	if len(b) < 4 || !message.EqualFold(b[:4], "http") {
		return d.fail(fault.NotHTTP, "what came is not HTTP: it has another protocol's name where HTTP/1.1 should be")
	}
	return d.badRequest("the version is malformed")
}

// isVersion reports whether b is an HTTP-version (RFC 9112 section 2.3).
func isVersion(b []byte) bool {
	return len(b) == 8 && string(b[:5]) == "HTTP/" && message.Is(b[5], inDigit) && b[6] == '.' && message.Is(b[7], inDigit)
}

// setTarget takes the target apart, which begins after a method of n bytes at
// off (RFC 9112 section 3.2). It returns what is wrong with it.
func setTarget(h *message.Head, off, n int, target []byte) (reason string) {
	method := piece(off, 0, n)
	off += n + 1
	whole, none := piece(off, 0, len(target)), message.Span{}
	switch {
	case h.Method == message.CONNECT:
		h.Form = message.Authority
		h.SetRequestLine(method, whole, none, whole, none, none)
		if reason := message.BadHostPort(target); reason != "" {
			return "the target " + reason
		}
		return ""
	case target[0] == '/':
		path, query := whole, none
		if q := bytes.IndexByte(target, '?'); q >= 0 {
			path, query = piece(off, 0, q), piece(off, q+1, len(target))
		}
		h.Form = message.Origin
		h.SetRequestLine(method, whole, none, none, path, query)
		return ""
	case len(target) == 1 && target[0] == '*':
		h.Form = message.Asterisk
		h.SetRequestLine(method, whole, none, none, whole, none)
		if h.Method != message.OPTIONS {
			return "the target \"*\" is for OPTIONS alone"
		}
		return ""
	}
	return setAbsolute(h, method, off, target)
}

// setAbsolute takes an absolute-form target apart, which stands at off. An
// empty path becomes "/", or "*" for OPTIONS (RFC 9112 section 3.2.4).
func setAbsolute(h *message.Head, method message.Span, off int, target []byte) (reason string) {
	scheme := bytes.Index(target, []byte("://"))
	if scheme < 0 {
		return "the target is neither a path nor a URI with http or https"
	}
	if s := target[:scheme]; !message.EqualFold(s, "http") && !message.EqualFold(s, "https") {
		return "the target's scheme is neither http nor https"
	}
	host, end := scheme+len("://"), len(target)
	if i := bytes.IndexAny(target[host:], "/?"); i >= 0 {
		end = host + i
	}
	if reason := message.BadHost(target[host:end]); reason != "" {
		return "the target's authority " + reason
	}
	pathEnd, query := len(target), message.Span{}
	if q := bytes.IndexByte(target[end:], '?'); q >= 0 {
		pathEnd = end + q
		query = piece(off, pathEnd+1, len(target))
	}
	path := piece(off, end, pathEnd)
	switch {
	case path.Len > 0:
	case h.Method == message.OPTIONS && pathEnd == len(target):
		path = h.Own("*")
	default:
		path = h.Own("/")
	}
	h.Form = message.Absolute
	h.SetRequestLine(method, piece(off, 0, len(target)), piece(off, 0, scheme), piece(off, host, end), path, query)
	return ""
}

// piece is from..to of what stands at off.
func piece(off, from, to int) message.Span {
	return message.Span{Off: uint32(off + from), Len: uint32(to - from)}
}

// noteHost takes in the Host of a request (RFC 9112 section 3.2).
func (d *HeadDecoder) noteHost(value []byte, h *message.Head) error {
	if d.section != request {
		return nil
	}
	if d.said.has(hasHost) {
		return d.fail(fault.BadHeader, d.place(len(h.Fields))+"Host is there twice")
	}
	if reason := message.BadHost(value); reason != "" {
		return d.fail(fault.BadHeader, d.place(len(h.Fields))+"Host "+reason)
	}
	d.said.facts |= hasHost
	return nil
}

// setHost makes the Host field say what the target says (RFC 9112 section
// 3.2.2).
func setHost(h *message.Head) {
	authority := h.Authority()
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != message.Host {
			continue
		}
		if !bytes.Equal(h.Bytes(f.Value), authority) {
			f.Value = h.OwnBytes(authority)
		}
		return
	}
	h.EndField(message.Host, append(h.BeginField("Host"), authority...))
}
