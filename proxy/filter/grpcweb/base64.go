package grpcweb

import (
	"bytes"
	"encoding/base64"

	"github.com/hopscope/hopscope/proxy/fault"
)

// decoder decodes base64 that arrives in pieces. There may be padding wherever
// the sender has flushed, so each group of four characters stands for itself.
type decoder struct {
	group [4]byte // of a group that is not whole
	n     int     // how much of it is here
}

// append appends what the piece, with what is left of those before it, stands
// for.
func (d *decoder) append(dst, piece []byte) ([]byte, error) {
	if d.n > 0 {
		used := copy(d.group[d.n:], piece)
		d.n, piece = d.n+used, piece[used:]
		if d.n < len(d.group) {
			return dst, nil
		}
		d.n = 0
		var err error
		if dst, err = appendGroups(dst, d.group[:]); err != nil {
			return dst, err
		}
	}
	whole := len(piece) / 4 * 4
	d.n = copy(d.group[:], piece[whole:])
	return appendGroups(dst, piece[:whole])
}

// end reports content that ends within a group.
func (d *decoder) end() error {
	if d.n > 0 {
		return notBase64("it ends within a group of four characters")
	}
	return nil
}

// appendGroups decodes whole groups, up to each padding at once.
func appendGroups(dst, groups []byte) ([]byte, error) {
	for len(groups) > 0 {
		end := len(groups)
		if pad := bytes.IndexByte(groups, '='); pad >= 0 {
			end = (pad/4 + 1) * 4
		}
		// The library would skip line breaks, and then groups would not be
		// where they are counted.
		if bytes.ContainsAny(groups[:end], "\r\n") {
			return dst, notBase64("there is a line break in it")
		}
		var err error
		if dst, err = base64.StdEncoding.AppendDecode(dst, groups[:end]); err != nil {
			return dst, notBase64("there is a character in it that is not of the alphabet, or padding in the wrong place")
		}
		groups = groups[end:]
	}
	return dst, nil
}

func notBase64(why string) error {
	return fault.New(fault.BadRequest, "the content of the gRPC-Web call is of the type grpc-web-text, but no base64: "+why)
}

// encoder encodes content as base64. Up to two bytes, which make no whole group,
// are kept back until more follows or they are flushed.
type encoder struct {
	rest [2]byte
	n    int
}

func (e *encoder) append(dst, piece []byte) []byte {
	if e.n > 0 {
		group := [3]byte{e.rest[0], e.rest[1]}
		used := copy(group[e.n:], piece)
		if e.n+used < len(group) {
			e.n += copy(e.rest[e.n:], piece)
			return dst
		}
		dst = base64.StdEncoding.AppendEncode(dst, group[:])
		piece, e.n = piece[used:], 0
	}
	whole := len(piece) / 3 * 3
	e.n = copy(e.rest[:], piece[whole:])
	return base64.StdEncoding.AppendEncode(dst, piece[:whole])
}

// flush appends what was kept back, padded.
func (e *encoder) flush(dst []byte) []byte {
	dst = base64.StdEncoding.AppendEncode(dst, e.rest[:e.n])
	e.n = 0
	return dst
}
