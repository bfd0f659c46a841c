package http1

import (
	"bytes"
	"strconv"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// Limits bound what a peer can make the proxy hold. The zero value means the
// defaults.
type Limits struct {
	// HeadBytes is the most bytes of a head, its first and its empty line
	// included, and of a trailer section. A request line that is longer by
	// itself is answered with 414 (URI Too Long), any other head with 431. 0
	// means 61440.
	HeadBytes int
	// Fields is the most field lines of a head or a trailer section. 0 means
	// 100.
	Fields int
}

// The defaults of [Limits].
const (
	DefaultHeadBytes = 60 << 10
	DefaultFields    = 100
)

func (l *Limits) setDefaults() {
	if l.HeadBytes <= 0 {
		l.HeadBytes = DefaultHeadBytes
	}
	if l.Fields <= 0 {
		l.Fields = DefaultFields
	}
}

// HeadDecoder decodes heads from a connection, one after the other. It reads
// each line once, however many pieces a head comes in. The zero value is ready;
// after a head or an error it is ready for the next one.
type HeadDecoder struct {
	Limits Limits

	section section
	begun   bool // the first line was read, what follows are fields
	pos     int  // where the line begins that was not read yet
	scanned int  // there is no end of that line before here
	said    said
}

// section is what is being decoded.
type section uint8

const (
	request section = iota
	response
	requestTrailers
	responseTrailers
)

// Reset makes d forget a head that was begun.
func (d *HeadDecoder) Reset() { *d = HeadDecoder{Limits: d.Limits} }

// Request decodes the head of a request into h. buf holds all bytes that were
// received since the head began: those of the last call, which may have moved,
// and more. It returns the length of the head including its empty line, or 0
// when more bytes are needed. h, the same at each call for one head, points into
// buf.
//
// One empty line before the head is tolerated and counted in (RFC 9112 section
// 2.2). An error is a [*fault.Error]; it comes as soon as it is certain, and
// the connection must be closed after the answer to it.
//
// The head of an absolute-form or authority-form request has a Host field that
// says what the target says (RFC 9112 section 3.2.2). An HTTP/1.0 request may
// have no Host. Connection fields are still there: see [StripHopByHop].
func (d *HeadDecoder) Request(buf []byte, h *message.Head) (n int, err error) {
	if !d.begun {
		d.section = request
		d.Limits.setDefaults()
		h.Begin(buf)
		if ok, err := d.requestLine(buf, h); !ok {
			return 0, err
		}
		d.begun = true
	} else {
		h.Rebase(buf)
	}
	if n, err = d.fields(buf, h); n == 0 {
		return 0, err
	}
	if err = d.endRequest(h); err != nil {
		return 0, err
	}
	d.Reset()
	return n, nil
}

// Response decodes the head of a response into h, as [HeadDecoder.Request] does
// that of a request. method is that of the request which it answers: together
// with the status it decides whether there is a body (RFC 9112 section 6.3).
// Every error is of kind [fault.UpstreamProtocol] or [fault.UpstreamHeader].
//
// A status of 101 is accepted whether or not the request asked for an upgrade;
// that only the caller knows.
func (d *HeadDecoder) Response(buf []byte, method message.Method, h *message.Head) (n int, err error) {
	if !d.begun {
		d.section = response
		d.Limits.setDefaults()
		h.Begin(buf)
		if ok, err := d.statusLine(buf, h); !ok {
			return 0, err
		}
		d.begun = true
	} else {
		h.Rebase(buf)
	}
	if n, err = d.fields(buf, h); n == 0 {
		return 0, err
	}
	if err = d.endResponse(method, h); err != nil {
		return 0, err
	}
	d.Reset()
	return n, nil
}

// trailers decodes a trailer section into h, as Request does a head.
func (d *HeadDecoder) trailers(buf []byte, h *message.Head) (n int, err error) {
	h.Rebase(buf)
	if n, err = d.fields(buf, h); n > 0 {
		d.Reset()
	}
	return n, err
}

// fields reads field lines up to the empty one. It takes only what is whole and
// good; all else is told apart by badLine.
func (d *HeadDecoder) fields(buf []byte, h *message.Head) (n int, err error) {
	window := buf[:min(len(buf), d.Limits.HeadBytes)]
	if d.scanned > d.pos && bytes.IndexByte(window[d.scanned:], '\n') < 0 {
		return 0, d.partialField(window, h) // no byte is read more than twice
	}
	for pos := d.pos; ; {
		line := window[pos:]
		if len(line) >= 2 && line[0] == '\r' && line[1] == '\n' {
			return pos + 2, nil
		}
		// A name that is known needs no look at its bytes.
		name := nameEnd(line)
		id := message.FieldByName(line[:name])
		if id == message.Unknown {
			name = span(line, inToken)
		}
		colon := name
		if name == 0 || name == len(line) || line[name] != ':' || d.full(h) {
			if colon = d.spacedColon(line, name); colon == 0 || d.full(h) {
				return 0, d.badLine(window, pos, h)
			}
		}
		from := colon + 1
		for from < len(line) && (line[from] == ' ' || line[from] == '\t') {
			from++
		}
		to := from + valueEnd(line[from:])
		if to+2 > len(line) || line[to] != '\r' || line[to+1] != '\n' {
			return 0, d.badLine(window, pos, h)
		}
		next := pos + to + 2
		for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
			to--
		}
		where := piece(pos, 0, name)
		if colon != name {
			id = message.FieldByName(line[:name])
			where = h.OwnBytes(line[:name]) // the encoder copies what it finds between name and value
		}
		h.AddDecoded(id, where, piece(pos, from, to))
		if noted.Has(id) && d.section <= response {
			if err := d.note(id, line[from:to], h); err != nil {
				return 0, err
			}
		}
		pos = next
	}
}

// spacedColon is where the colon stands behind a name of n bytes and whitespace,
// or 0 where it does not, or may not: a proxy removes such whitespace from a
// response and refuses it in a request, where it was used to hide fields (RFC
// 9112 section 5.1).
func (d *HeadDecoder) spacedColon(line []byte, n int) int {
	if n == 0 || d.section == request || d.section == requestTrailers {
		return 0
	}
	colon := n
	for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') {
		colon++
	}
	if colon == len(line) || line[colon] != ':' {
		return 0
	}
	return colon
}

// badLine says what is wrong with the line at pos, or nothing where it is only not whole
// yet: then it is the next to be read.
func (d *HeadDecoder) badLine(window []byte, pos int, h *message.Head) error {
	if pos > d.pos {
		d.pos, d.scanned = pos, pos
	}
	end := bytes.IndexByte(window[d.pos:], '\n')
	if end < 0 {
		return d.partialField(window, h)
	}
	line := window[d.pos : d.pos+end]
	switch {
	case len(line) == 0 || line[end-1] != '\r':
		return d.badField(h, "the line ends in a bare LF")
	case line[0] != '\r' && d.full(h):
		return d.tooManyFields()
	}
	line = line[:end-1]
	name := span(line, inToken)
	if (name == 0 || name == len(line) || line[name] != ':') && d.spacedColon(line, name) == 0 {
		return d.badName(h, line, name)
	}
	return d.badField(h, controlIn(line))
}

// partialField looks at a field line that is not whole yet: what can't become a
// good one is refused at once.
func (d *HeadDecoder) partialField(window []byte, h *message.Head) error {
	if d.pos < len(window) {
		switch c := window[d.pos]; {
		case c == '\r':
		case d.full(h):
			return d.tooManyFields()
		case !message.Is(c, inToken):
			return d.badName(h, window[d.pos:], 0)
		}
	}
	if reason := d.partialLine(window); reason != "" {
		return d.badField(h, reason)
	}
	if bound := d.Limits.HeadBytes; len(window) == bound {
		return d.fail(fault.HeaderTooLarge, d.what()+" is longer than "+strconv.Itoa(bound)+" bytes")
	}
	return nil
}

// lineEnd is the index of the '\n' that ends the line at d.pos, or -1 where it
// is not among the first bound bytes.
func (d *HeadDecoder) lineEnd(buf []byte, bound int) int {
	i := bytes.IndexByte(buf[d.scanned:min(len(buf), bound)], '\n')
	if i < 0 {
		return -1
	}
	return d.scanned + i
}

// partialLine looks at those bytes of a line without an end that came since
// the last call, and says what is wrong with them.
func (d *HeadDecoder) partialLine(window []byte) string {
	// The last byte of the last call may have been half a line end.
	for i := max(d.pos, d.scanned-1); i < len(window); i++ {
		if !message.Is(window[i], inValue) && !(window[i] == '\r' && i == len(window)-1) {
			return controlIn(window[i:])
		}
	}
	d.scanned = len(window)
	return ""
}

func (d *HeadDecoder) full(h *message.Head) bool { return len(h.Fields) >= d.Limits.Fields }

func (d *HeadDecoder) tooManyFields() error {
	return d.fail(fault.HeaderTooLarge, d.what()+" has more than "+strconv.Itoa(d.Limits.Fields)+" fields")
}

// badName says why the first n bytes of a line are not a field's name.
func (d *HeadDecoder) badName(h *message.Head, line []byte, n int) error {
	switch {
	case n == 0 && (line[0] == ' ' || line[0] == '\t') && len(h.Fields) == 0:
		return d.badField(h, "the line begins with whitespace")
	case n == 0 && (line[0] == ' ' || line[0] == '\t'):
		return d.badField(h, "folded over several lines (obs-fold): send it in one")
	case n == 0 && line[0] == ':':
		return d.badField(h, "empty name")
	case n == len(line):
		return d.badField(h, "no colon")
	case line[n] == ' ' || line[n] == '\t':
		return d.badField(h, "space before the colon")
	case !message.Is(line[n], inValue):
		return d.badField(h, controlIn(line[n:]))
	}
	return d.badField(h, "byte 0x"+message.HexByte(line[n])+" in the name")
}

// badField refuses the field line that is being read.
func (d *HeadDecoder) badField(h *message.Head, reason string) error {
	return d.fail(fault.BadHeader, d.place(len(h.Fields)+1)+reason)
}

// place names a field for an error, counted from 1.
func (d *HeadDecoder) place(field int) string {
	if d.section >= requestTrailers {
		return "trailer field " + strconv.Itoa(field) + ": "
	}
	return "field " + strconv.Itoa(field) + ": "
}

func (d *HeadDecoder) what() string {
	if d.section >= requestTrailers {
		return "the trailer section"
	}
	return "the head"
}

// fail makes the error and gets ready for another head.
func (d *HeadDecoder) fail(kind fault.Kind, reason string) error {
	if d.section == response || d.section == responseTrailers {
		kind = upstream(kind)
	}
	d.Reset()
	return fault.New(kind, reason)
}

// upstream is the kind of a failure that the upstream made.
func upstream(kind fault.Kind) fault.Kind {
	if kind == fault.HeaderTooLarge || kind == fault.URITooLong {
		return fault.UpstreamHeader
	}
	return fault.UpstreamProtocol
}

// controlIn names the first control character in b.
func controlIn(b []byte) string {
	switch c := b[span(b, inValue)]; c {
	case 0:
		return "NUL"
	case '\r':
		return "a bare CR"
	case '\n':
		return "a bare LF"
	default:
		return "control character 0x" + message.HexByte(c)
	}
}
