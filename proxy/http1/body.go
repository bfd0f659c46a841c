package http1

import (
	"math"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxExcess is how many bytes of chunk extensions may outweigh the content,
// each byte of which makes up for two of them. Extensions are dropped, so only
// an attacker sends more.
const maxExcess = 16 << 10

// BodyDecoder takes the framing off one body after the other. The zero value is
// ready for [BodyDecoder.Begin].
type BodyDecoder struct {
	// Upstream is true where the bodies are those of responses: errors are then
	// the upstream's.
	Upstream bool

	state  bodyState
	left   uint64 // bytes of content that are left, of the body or of the chunk
	digits int    // of the chunk size
	excess int    // see maxExcess

	trailers *trailerSection // nil until a body is chunked
}

// trailerSection is what follows the last chunk.
type trailerSection struct {
	decoder HeadDecoder
	raw     []byte // the section, as it came
	head    message.Head
	of      message.Trailing
	some    bool // there are trailers that may be used
}

type bodyState uint8

const (
	over bodyState = iota
	content
	untilClose
	// The states of chunked (RFC 9112 section 7.1) are named after what they
	// expect.
	chunkSize
	chunkSemicolon
	chunkExtension
	chunkLF
	chunkData
	dataCR
	dataLF
	trailerFields
)

// Begin gets ready for a body. length is that of [message.ByLength]; limits
// bound the trailer section.
func (b *BodyDecoder) Begin(framing message.Framing, length int64, limits Limits) {
	b.state, b.left, b.digits, b.excess = over, 0, 0, 0
	if b.trailers != nil {
		b.trailers.some = false
	}
	switch framing {
	case message.ByLength:
		if length > 0 {
			b.state, b.left = content, uint64(length)
		}
	case message.Chunked:
		b.state = chunkSize
		if b.trailers == nil {
			b.trailers = &trailerSection{}
		}
		b.trailers.begin(limits, b.Upstream)
	case message.UntilClose, message.Tunnel:
		b.state = untilClose
	}
}

// Decode takes bytes from in: it returns a piece of the content, which is a
// part of in and may be empty, how many bytes of in were used, and whether the
// body is over. More bytes are needed when none were used and it is not over.
// An error is a [*fault.Error].
func (b *BodyDecoder) Decode(in []byte) (data []byte, used int, done bool, err error) {
	switch b.state {
	case over:
		return nil, 0, true, nil
	case untilClose:
		return in, len(in), false, nil
	case content:
		n := b.take(in)
		if b.left == 0 {
			b.state = over
		}
		return in[:n], n, b.state == over, nil
	}
	return b.decodeChunks(in)
}

// take is how many bytes of in are content.
func (b *BodyDecoder) take(in []byte) int {
	n := min(uint64(len(in)), b.left)
	b.left -= n
	return int(n)
}

// decodeChunks goes on to where a second piece of content would begin.
func (b *BodyDecoder) decodeChunks(in []byte) (data []byte, used int, done bool, err error) {
	i := 0
	for i < len(in) && b.state != over {
		switch b.state {
		case chunkData:
			if data != nil {
				return data, i, false, nil
			}
			n := b.take(in[i:])
			data = in[i : i+n]
			i += n
			if b.left == 0 {
				b.state = dataCR
			}
		case trailerFields:
			n, err := b.trailers.decode(in[i:])
			if err != nil {
				return nil, 0, false, err
			}
			i += n.used
			if n.done {
				b.state = over
			}
		default:
			if reason := b.frame(in[i]); reason != "" {
				return nil, 0, false, b.fail(fault.BadFraming, "chunked body: "+reason)
			}
			i++
		}
	}
	return data, i, b.state == over, nil
}

// frame reads one byte of the framing around chunks and says what is wrong with
// it.
func (b *BodyDecoder) frame(c byte) (reason string) {
	switch b.state {
	case chunkSize:
		return b.sizeByte(c)
	case chunkSemicolon:
		// Space may stand before an extension, not at the end of the line.
		if c == ';' {
			b.state = chunkExtension
		} else if c != ' ' && c != '\t' {
			return "the chunk size is followed by neither an extension nor CRLF"
		}
		return b.extensionByte()
	case chunkExtension:
		if c == '\r' {
			b.state = chunkLF
			return ""
		}
		if !message.Is(c, inValue) {
			return controlIn([]byte{c}) + " in a chunk extension"
		}
		return b.extensionByte()
	case chunkLF:
		if c != '\n' {
			return "a bare CR after the chunk size"
		}
		b.beginChunk()
	case dataCR:
		if c != '\r' {
			return "no CRLF after the chunk's content"
		}
		b.state = dataLF
	case dataLF:
		if c != '\n' {
			return "no CRLF after the chunk's content"
		}
		b.state = chunkSize
	}
	return ""
}

// sizeByte reads one byte of a chunk size, or what ends it.
func (b *BodyDecoder) sizeByte(c byte) (reason string) {
	if message.Is(c, inHex) {
		if b.digits == 16 {
			return "the chunk size has more than 16 digits"
		}
		b.digits++
		b.left = b.left<<4 | uint64(hexValue(c))
		return ""
	}
	switch {
	case b.digits == 0:
		return "the chunk size does not begin with a hexadecimal digit"
	case b.left > math.MaxInt64:
		return "the chunk size is more than 7fffffffffffffff"
	case c == '\r':
		b.state = chunkLF
	case c == ';':
		b.state = chunkExtension
		return b.extensionByte()
	case c == ' ' || c == '\t':
		b.state = chunkSemicolon
		return b.extensionByte()
	case c == '\n':
		return "a bare LF after the chunk size"
	default:
		return "the chunk size has a byte that is no hexadecimal digit"
	}
	return ""
}

func (b *BodyDecoder) extensionByte() (reason string) {
	if b.excess++; b.excess > maxExcess {
		return "too many bytes of chunk extensions"
	}
	return ""
}

// beginChunk comes after the line of the size.
func (b *BodyDecoder) beginChunk() {
	b.digits = 0
	if b.left == 0 {
		b.state = trailerFields
		return
	}
	b.state = chunkData
	b.excess -= int(min(uint64(b.excess), b.left*2))
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// End is called when the connection has ended. It is nil only where that is the
// end of the body, or comes after it.
func (b *BodyDecoder) End() error {
	if b.state == over || b.state == untilClose {
		return nil
	}
	if b.Upstream {
		return fault.New(fault.UpstreamClosed, "the upstream closed the connection within the response's body")
	}
	return fault.New(fault.ClientClosed, "the client closed the connection within the request's body")
}

func (b *BodyDecoder) fail(kind fault.Kind, reason string) error {
	if b.Upstream {
		kind = upstream(kind)
	}
	return fault.New(kind, reason)
}

// Trailers are the trailer fields of the body when it is done, or nil where it
// had none. What must not come in a request's trailers is marked as removed. Of a
// response's that is only what may come in none: whether it answers a gRPC call,
// the caller knows (see [message.Trailing]). The Head is the decoder's own; it stays as it is until the
// next Begin.
func (b *BodyDecoder) Trailers() *message.Head {
	if b.state != over || b.trailers == nil || !b.trailers.some {
		return nil
	}
	return &b.trailers.head
}

// keptTrailers is the most storage for trailers that is kept for the next body.
const keptTrailers = 4 << 10

func (t *trailerSection) begin(limits Limits, upstream bool) {
	t.decoder, t.of = HeadDecoder{Limits: limits, section: requestTrailers}, message.OfRequest
	if upstream {
		t.decoder.section, t.of = responseTrailers, message.OfCall
	}
	t.decoder.Limits.setDefaults()
	t.raw = t.raw[:0]
	if cap(t.raw) > keptTrailers {
		t.raw = nil
	}
	t.head.Reset()
	t.head.Version = hop.HTTP11
}

type progress struct {
	used int
	done bool
}

// decode collects the section, of which in is the next piece: it has to outlive
// in, and is nearly always empty.
func (t *trailerSection) decode(in []byte) (progress, error) {
	if len(t.raw) == 0 && len(in) >= 2 && in[0] == '\r' && in[1] == '\n' {
		return progress{2, true}, nil
	}
	before := len(t.raw)
	t.raw = append(t.raw, in[:min(len(in), t.decoder.Limits.HeadBytes-before)]...)
	n, err := t.decoder.trailers(t.raw, &t.head)
	if err != nil || n == 0 {
		return progress{len(t.raw) - before, false}, err
	}
	t.raw = t.raw[:n]
	t.some = t.head.StripTrailers(t.of)
	return progress{n - before, true}, nil
}
