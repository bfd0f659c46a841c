package message

import (
	"bytes"
	"slices"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Head is the head of a request or a response: its first line, its fields and
// how its body is framed. The zero value is empty and ready; [Head.Reset]
// empties it for reuse.
//
// A Head borrows the bytes that it was decoded from (see [Head.Begin]); they
// must stay as they are for as long as it is in use.
type Head struct {
	// Version is the version of the protocol the message came in.
	Version hop.Version
	// Framing and Length say how the body is delimited; Length is -1 where it
	// is not known beforehand.
	Framing Framing
	Length  int64
	// Close is true where the sender will not reuse the connection.
	Close bool
	// Upgrade is true where a request asks to change protocols, or where a
	// response of 101 agrees to.
	Upgrade bool
	// Expect is true where a request waits for 100 (Continue).
	Expect bool

	// Method is what the request does; the text is [Head.MethodText].
	Method Method
	// Form is the form of the request's target (RFC 9112 section 3.2).
	Form Form
	// Status is the response's status.
	Status int

	// Fields are the fields in the order of the wire, those that were added
	// last. Fields that were removed stay, marked.
	Fields []Field

	method, target, scheme, authority, path, query, reason Span

	wire   []byte // what was received
	extra  []byte // what was added here
	naming uint32 // how long the name of the field is that was begun
	known  FieldSet
}

// Field is one field line.
type Field struct {
	// ID is the field's number where its name is a known one.
	ID FieldID
	// Removed marks a field that is not sent on.
	Removed bool
	// Name and Value point into the Head; read them with [Head.Bytes].
	Name, Value Span
}

// Span is a piece of a Head's bytes: of those received, or, where the highest
// bit of Off is set, of those added.
type Span struct{ Off, Len uint32 }

const added = 1 << 31

// Added reports whether s lies in the head's own storage, not in the bytes
// that were received.
func (s Span) Added() bool { return s.Off&added != 0 }

// Place is where s begins, in those bytes or in that storage.
func (s Span) Place() uint32 { return s.Off &^ added }

// Framing is how a body is delimited on the wire (RFC 9112 section 6).
type Framing uint8

const (
	// NoBody is a message without content.
	NoBody Framing = iota
	// ByLength is delimited by Content-Length.
	ByLength
	// Chunked is the chunked transfer coding.
	Chunked
	// UntilClose is a response that lasts until the connection ends.
	UntilClose
	// Tunnel is not HTTP any more: CONNECT or 101.
	Tunnel
)

// HasBody reports whether content follows the head: it may still turn out to
// be of length zero where that is not known beforehand.
func (h *Head) HasBody() bool {
	return h.Framing == Chunked || h.Framing == UntilClose || h.Framing == ByLength && h.Length != 0
}

// Form is the form of a request's target (RFC 9112 section 3.2).
type Form uint8

const (
	// Origin is "/path?query".
	Origin Form = iota
	// Absolute is "http://host/path?query".
	Absolute
	// Authority is "host:port", with CONNECT alone.
	Authority
	// Asterisk is "*", with OPTIONS alone.
	Asterisk
)

// Reset empties h, keeping its storage.
func (h *Head) Reset() {
	fields, extra := h.Fields[:0], h.extra[:0]
	*h = Head{} // with its fields in the literal, all of it would be made on the stack and copied
	h.Fields, h.extra = fields, extra
}

// Begin empties h and gives it the bytes that its spans will point into. A
// codec that reads on calls [Head.Rebase] when its buffer has grown or moved.
func (h *Head) Begin(wire []byte) {
	h.Reset()
	h.wire = wire
}

// Clone returns a head of its own, to be changed apart from h. It borrows the same
// received bytes.
func (h *Head) Clone() Head {
	c := *h
	c.Fields, c.extra = slices.Clone(h.Fields), slices.Clone(h.extra)
	return c
}

// Detach returns a head of its own that borrows nothing, so that it outlives the bytes that
// h was decoded from.
func (h *Head) Detach() *Head {
	c := h.Clone()
	var end uint32
	reach := func(spans ...Span) {
		for _, s := range spans {
			if !s.Added() {
				end = max(end, s.Off+s.Len)
			}
		}
	}
	reach(h.method, h.target, h.scheme, h.authority, h.path, h.query, h.reason)
	fields := h.Fields
	for i := range fields {
		reach(fields[i].Name, fields[i].Value)
	}
	c.wire = slices.Clone(h.wire[:min(int(end), len(h.wire))])
	return &c
}

// Rebase replaces the received bytes by the same bytes at another place.
func (h *Head) Rebase(wire []byte) { h.wire = wire }

// Wire is the bytes that the head was decoded from.
func (h *Head) Wire() []byte { return h.wire }

// Extra is the head's own storage: the bytes of spans that were added.
func (h *Head) Extra() []byte { return h.extra }

// Bytes returns what s points at.
func (h *Head) Bytes(s Span) []byte {
	if s.Off&added != 0 {
		off := s.Off &^ added
		return h.extra[off : off+s.Len]
	}
	return h.wire[s.Off : s.Off+s.Len]
}

// Own copies s into the head's own storage and returns the place.
func (h *Head) Own(s string) Span {
	span := Span{uint32(len(h.extra)) | added, uint32(len(s))}
	h.extra = append(h.extra, s...)
	return span
}

// OwnBytes is [Head.Own] for bytes.
func (h *Head) OwnBytes(b []byte) Span {
	span := Span{uint32(len(h.extra)) | added, uint32(len(b))}
	h.extra = append(h.extra, b...)
	return span
}

// Scratch returns the head's own storage for appending; give the longer slice
// to [Head.Keep], which returns the place of what was appended. It spares a
// copy where a value is made in place.
func (h *Head) Scratch() []byte { return h.extra }

// Keep takes back what [Head.Scratch] returned, appended to.
func (h *Head) Keep(extra []byte) Span {
	off := len(h.extra)
	h.extra = extra
	return Span{uint32(off) | added, uint32(len(extra) - off)}
}

// AddDecoded appends a field that a codec found in the received bytes.
func (h *Head) AddDecoded(id FieldID, name, value Span) {
	h.Fields = append(h.Fields, Field{ID: id, Name: name, Value: value})
	h.known.add(id)
}

// Add appends a field. The name is written as it is; id is [Unknown] where the
// name has no number.
func (h *Head) Add(id FieldID, name, value string) {
	h.EndField(id, append(h.BeginField(name), value...))
}

// BeginField returns the head's own storage for a field's value to be appended; give the
// longer slice to [Head.EndField]. It holds the line as HTTP/1 writes it, so that
// neighbours are written as one. Nothing else may be added to the head in between.
func (h *Head) BeginField(name string) []byte {
	h.naming = uint32(len(name))
	return append(append(h.extra, name...), ": "...)
}

// EndField takes back what [Head.BeginField] returned, appended to, and appends the
// field. It returns the value's place.
func (h *Head) EndField(id FieldID, extra []byte) Span {
	name := Span{uint32(len(h.extra)) | added, h.naming}
	value := Span{name.Off + name.Len + 2, 0}
	value.Len = uint32(len(extra)) - value.Place()
	h.extra = append(extra, "\r\n"...)
	h.AddDecoded(id, name, value)
	return value
}

// Has reports whether a field of that number is there. It may say so of one
// that was removed by hand, not by [Head.Remove].
func (h *Head) Has(id FieldID) bool { return h.known.Has(id) }

// HasAny is [Head.Has] for any field of a set.
func (h *Head) HasAny(set FieldSet) bool { return h.known.meets(&set) }

// Get returns the value of the first field of that number.
func (h *Head) Get(id FieldID) ([]byte, bool) {
	if !h.Has(id) {
		return nil, false
	}
	fields := h.Fields
	for i := range fields {
		if f := &fields[i]; f.ID == id && !f.Removed {
			return h.Bytes(f.Value), true
		}
	}
	return nil, false
}

// Lookup returns the value of the first field of that name, whatever its case.
func (h *Head) Lookup(name string) ([]byte, bool) {
	fields := h.Fields
	for i := range fields {
		if f := &fields[i]; !f.Removed && int(f.Name.Len) == len(name) && EqualFold(h.Bytes(f.Name), name) {
			return h.Bytes(f.Value), true
		}
	}
	return nil, false
}

// Count is how many fields of that number there are.
func (h *Head) Count(id FieldID) int {
	n := 0
	if h.Has(id) {
		fields := h.Fields
		for i := range fields {
			if f := &fields[i]; f.ID == id && !f.Removed {
				n++
			}
		}
	}
	return n
}

// Replace gives the first field of that number another value, in its place, and
// removes the others; it adds the field where there is none.
func (h *Head) Replace(id FieldID, value string) {
	first := true
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		if f.ID != id || f.Removed {
			continue
		}
		if f.Removed = !first; first {
			f.Value = h.Own(value)
		}
		first = false
	}
	if first {
		h.Add(id, id.String(), value)
	}
}

// Remove marks every field of that number as removed.
func (h *Head) Remove(id FieldID) {
	if !h.Has(id) {
		return
	}
	fields := h.Fields
	for i := range fields {
		if fields[i].ID == id {
			fields[i].Removed = true
		}
	}
	h.known.remove(id)
}

// RemoveName marks every field of that name as removed, whatever its case.
func (h *Head) RemoveName(name []byte) { h.RemoveField(FieldByName(name), name) }

// RemoveField is [Head.RemoveName] for a name whose number is known; that may be Unknown.
func (h *Head) RemoveField(id FieldID, name []byte) {
	if id != Unknown {
		h.Remove(id)
		return
	}
	fields := h.Fields
	for i := range fields {
		if f := &fields[i]; f.ID == Unknown && int(f.Name.Len) == len(name) && EqualFold(h.Bytes(f.Name), name) {
			f.Removed = true
		}
	}
}

// SetRequestLine is for codecs: the method and the target as they stand in the
// received bytes, and the target's parts.
func (h *Head) SetRequestLine(method, target, scheme, authority, path, query Span) {
	h.method, h.target, h.scheme = method, target, scheme
	h.authority, h.path, h.query = authority, path, query
}

// SetReason is for codecs: the reason phrase of a response.
func (h *Head) SetReason(reason Span) { h.reason = reason }

// MethodText is the request's method as it was sent.
func (h *Head) MethodText() []byte { return h.Bytes(h.method) }

// Target is the request's target as it was sent.
func (h *Head) Target() []byte { return h.Bytes(h.target) }

// Scheme is the scheme of an absolute-form target, empty for others.
func (h *Head) Scheme() []byte { return h.Bytes(h.scheme) }

// Authority is host and port of an absolute-form or authority-form target,
// else empty: see [Head.Host].
func (h *Head) Authority() []byte { return h.Bytes(h.authority) }

// Path is the path of the target, without the query; "*" for asterisk-form,
// empty for authority-form.
func (h *Head) Path() []byte { return h.Bytes(h.path) }

// Query is the query of the target, without the question mark.
func (h *Head) Query() []byte { return h.Bytes(h.query) }

// OriginTarget is the target to send to an origin server: the path and the
// query, whatever form the request came in; for CONNECT it is the authority.
func (h *Head) OriginTarget() []byte {
	target := h.Target()
	if h.Form != Absolute {
		return target
	}
	after := target[len(h.Scheme())+len("://")+len(h.Authority()):]
	switch {
	case len(after) == 0:
		return h.Path()
	case after[0] == '?':
		return h.Bytes(h.Keep(append(append(h.Scratch(), '/'), after...)))
	}
	return after
}

// SetPath gives the target another path; the query stays.
func (h *Head) SetPath(path []byte) {
	target := h.Target()
	front := 0
	if h.Form == Absolute {
		front = len(h.Scheme()) + len("://") + len(h.Authority())
	}
	_, query, asked := bytes.Cut(target, []byte("?"))
	b := append(append(h.Scratch(), target[:front]...), path...)
	if asked {
		b = append(append(b, '?'), query...)
	}
	h.target = h.Keep(b)
	h.path = Span{h.target.Off + uint32(front), uint32(len(path))}
	h.query = Span{h.path.Off + h.path.Len, 0}
	if asked {
		h.query = Span{h.query.Off + 1, uint32(len(query))}
	}
}

// Retarget gives the request another method, and another path without a query.
func (h *Head) Retarget(m Method, path string) {
	h.Method, h.method = m, h.Own(m.String())
	target := h.Target()
	front := 0
	if h.Form == Absolute {
		front = len(h.Scheme()) + len("://") + len(h.Authority())
	}
	h.target = h.Keep(append(append(h.Scratch(), target[:front]...), path...))
	h.path = Span{h.target.Off + uint32(front), uint32(len(path))}
	h.query = Span{h.path.Off + h.path.Len, 0}
}

// Redirect gives the request another method, host and target. An empty path is "/".
func (h *Head) Redirect(m Method, host, path, query string) {
	if m != h.Method {
		h.Method, h.method = m, h.Own(m.String())
	}
	if path == "" {
		path = "/"
	}
	target := path
	if query != "" {
		target += "?" + query
	}
	h.Form, h.scheme, h.authority = Origin, Span{}, Span{}
	h.target = h.Own(target)
	h.path = Span{h.target.Off, uint32(len(path))}
	h.query = Span{}
	if query != "" {
		h.query = Span{h.path.Off + h.path.Len + 1, uint32(len(query))}
	}
	if host != "" {
		h.Replace(Host, host)
	}
}

// DropContent makes the request one without content.
func (h *Head) DropContent() {
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		if name := h.Bytes(f.Name); len(name) > 8 && EqualFold(name[:8], "content-") {
			f.Removed = true
			if f.ID != Unknown {
				h.known.remove(f.ID)
			}
		}
	}
	h.Remove(TransferEncoding)
	h.Remove(Trailer)
	h.Framing, h.Length = NoBody, 0
}

// Host is whom the request is for: the target's authority where it has one,
// else the Host field (RFC 9112 section 3.3).
func (h *Head) Host() []byte {
	if h.authority.Len > 0 {
		return h.Bytes(h.authority)
	}
	host, _ := h.Get(Host)
	return host
}

// Reason is the reason phrase of a response.
func (h *Head) Reason() []byte { return h.Bytes(h.reason) }

// EqualFold reports whether two texts are the same but for the case of ASCII
// letters.
func EqualFold[A, B text](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && lower(x) != lower(y) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
