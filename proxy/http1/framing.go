package http1

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// said is what the fields of a head say of the message as a whole.
type said struct {
	facts   facts
	length  int64
	options int // how many connection options there were
}

type facts uint16

const (
	hasLength facts = 1 << iota
	hasCoding
	hasHost
	hasUpgrade
	refusesUpgrade // Upgrade asks for another version of HTTP
	wantsContinue
	optionClose
	optionKeepAlive
	optionUpgrade
)

// has reports whether all of those were said.
func (s *said) has(f facts) bool { return s.facts&f == f }

// noted are the fields that bear on the whole message.
var noted = message.SetOf(message.ContentLength, message.TransferEncoding, message.Connection, message.Host,
	message.Upgrade, message.Expect)

// note takes in one of them.
func (d *HeadDecoder) note(id message.FieldID, value []byte, h *message.Head) error {
	switch id {
	case message.ContentLength:
		return d.noteLength(value, h)
	case message.TransferEncoding:
		return d.noteCoding(value, h)
	case message.Connection:
		return d.noteConnection(value, h)
	case message.Host:
		return d.noteHost(value, h)
	case message.Upgrade:
		d.noteUpgrade(value)
	case message.Expect:
		if message.WantsContinue(value) {
			d.said.facts |= wantsContinue
		}
	}
	return nil
}

// noteLength takes in Content-Length: one line of one number, nothing else (RFC
// 9112 section 6.3 lets a recipient refuse identical repeats).
func (d *HeadDecoder) noteLength(value []byte, h *message.Head) error {
	place := len(h.Fields)
	if d.said.has(hasLength) {
		return d.fail(fault.BadFraming, d.place(place)+"Content-Length is there twice")
	}
	n, reason := message.ParseLength(value)
	if reason != "" {
		return d.fail(fault.BadFraming, d.place(place)+"Content-Length "+reason)
	}
	d.said.facts |= hasLength
	d.said.length = n
	return nil
}

// noteCoding takes in Transfer-Encoding: one line, "chunked" and nothing else.
func (d *HeadDecoder) noteCoding(value []byte, h *message.Head) error {
	place := len(h.Fields)
	if d.said.has(hasCoding) {
		return d.fail(fault.BadFraming, d.place(place)+"Transfer-Encoding is there twice")
	}
	d.said.facts |= hasCoding
	if message.EqualFold(value, "chunked") {
		return nil
	}
	kind, reason := explainCoding(value)
	return d.fail(kind, d.place(place)+"Transfer-Encoding "+reason)
}

// explainCoding says what is wrong with a Transfer-Encoding that is not just
// "chunked". Only a clean list of codings that ends in "chunked" is merely not
// implemented; of any other the length can't be told (RFC 9112 section 6.3).
func explainCoding(value []byte) (fault.Kind, string) {
	chunked := 0
	var name []byte
	for rest := value; ; {
		var element []byte
		element, rest = nextElement(rest)
		n := span(element, inToken)
		name = element[:n]
		isChunked := message.EqualFold(name, "chunked")
		switch params := trimSpace(element[n:]); {
		case n == 0:
			return fault.BadFraming, "has an empty member"
		case len(params) > 0 && params[0] != ';':
			return fault.BadFraming, "is malformed"
		case isChunked && len(params) > 0:
			return fault.BadFraming, "has parameters on chunked"
		}
		if isChunked {
			chunked++
		}
		if rest == nil {
			break
		}
	}
	switch {
	case chunked > 1:
		return fault.BadFraming, "has chunked twice"
	case !message.EqualFold(name, "chunked"):
		return fault.BadFraming, "does not end in chunked"
	}
	return fault.NotImplemented, "has a coding other than chunked, which is not supported: use Content-Encoding"
}

// noteConnection takes in the connection options (RFC 9110 section 7.6.1).
func (d *HeadDecoder) noteConnection(value []byte, h *message.Head) error {
	for {
		var option []byte
		option, value = nextElement(value)
		switch {
		case message.EqualFold(option, "keep-alive"):
			d.said.facts |= optionKeepAlive
		case message.EqualFold(option, "close"):
			d.said.facts |= optionClose
		case message.EqualFold(option, "upgrade"):
			d.said.facts |= optionUpgrade
		}
		// Each may cost StripHopByHop a look at each field.
		if d.said.options++; d.said.options > d.Limits.Fields {
			return d.fail(fault.HeaderTooLarge, d.place(len(h.Fields))+"too many connection options")
		}
		if value == nil {
			return nil
		}
	}
}

// noteUpgrade takes in Upgrade. A change to another version of HTTP is ignored,
// as a server may (RFC 9110 section 7.8), even where it is one of several
// offers: behind the proxy's back it would carry requests that nobody sees.
func (d *HeadDecoder) noteUpgrade(value []byte) {
	for {
		var protocol []byte
		protocol, value = nextElement(value)
		switch {
		case message.EqualFold(protocol, "h2c"), message.EqualFold(protocol, "h2"),
			len(protocol) >= 4 && message.EqualFold(protocol[:4], "http"):
			d.said.facts |= refusesUpgrade
		case len(protocol) > 0:
			d.said.facts |= hasUpgrade
		}
		if value == nil {
			return
		}
	}
}

// endRequest decides what the whole head means: the framing by RFC 9112 section
// 6.3.
func (d *HeadDecoder) endRequest(h *message.Head) error {
	said := &d.said
	http11 := h.Version == hop.HTTP11
	switch {
	case http11 && !said.has(hasHost):
		return d.fail(fault.BadRequest, "no Host field, which HTTP/1.1 requires")
	case said.has(hasCoding):
		if reason := said.badCoding(http11); reason != "" {
			return d.fail(fault.BadFraming, reason)
		}
		h.Framing, h.Length = message.Chunked, -1
	case said.has(hasLength):
		h.Framing, h.Length = message.ByLength, said.length
	}
	if h.Method == message.CONNECT {
		if h.HasBody() {
			return d.fail(fault.BadFraming, "a CONNECT request with a body")
		}
		h.Framing = message.NoBody
	}
	h.Close = said.closes(http11)
	// The protocol changes after the body, if there is one (RFC 9110 section 7.8).
	h.Upgrade = http11 && said.has(hasUpgrade|optionUpgrade) && !said.has(refusesUpgrade) && h.Method != message.CONNECT
	// RFC 9110 section 10.1.1: ignored in HTTP/1.0, senseless without a body.
	h.Expect = http11 && said.has(wantsContinue) && h.HasBody()
	if h.Form == message.Absolute || h.Form == message.Authority {
		setHost(h)
	}
	return nil
}

// endResponse decides what the whole head means.
func (d *HeadDecoder) endResponse(method message.Method, h *message.Head) error {
	said := &d.said
	http11 := h.Version == hop.HTTP11
	if said.has(hasCoding) {
		if reason := said.badCoding(http11); reason != "" {
			return d.fail(fault.BadFraming, reason)
		}
	}
	h.Close = said.closes(http11)
	switch {
	case h.Status == 101:
		if !said.has(hasUpgrade | optionUpgrade) {
			return d.fail(fault.BadRequest, "status 101 without Upgrade and Connection: upgrade")
		}
		h.Upgrade = true
		h.Framing, h.Length = message.Tunnel, -1
	case h.Status < 200 || h.Status == 204:
		h.Framing, h.Length = message.NoBody, 0
	case method == message.CONNECT && h.Status < 300:
		h.Framing, h.Length = message.Tunnel, -1
	case method == message.HEAD || h.Status == 304:
		// Content-Length tells what a GET would have got.
		h.Framing, h.Length = message.NoBody, -1
		if said.has(hasLength) {
			h.Length = said.length
		}
	case said.has(hasCoding):
		h.Framing, h.Length = message.Chunked, -1
	case said.has(hasLength):
		h.Framing, h.Length = message.ByLength, said.length
	default:
		h.Framing, h.Length = message.UntilClose, -1
		h.Close = true
	}
	return nil
}

// badCoding says what is wrong with there being a Transfer-Encoding.
func (s *said) badCoding(http11 bool) string {
	switch {
	case !http11:
		return "Transfer-Encoding in HTTP/1.0" // RFC 9112 section 6.1
	case s.has(hasLength):
		return "both Content-Length and Transfer-Encoding"
	}
	return ""
}

// closes is RFC 9112 section 9.3.
func (s *said) closes(http11 bool) bool {
	return s.has(optionClose) || !http11 && !s.has(optionKeepAlive)
}
