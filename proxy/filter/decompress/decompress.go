package decompress

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// coding is a content coding.
type coding struct {
	name string
	// memory is about what a decoder may take, in bytes: the window that content may ask for.
	memory int
	open   func(io.Reader) (io.Reader, error)
}

// mostZstd is the largest window of zstd that HTTP allows (RFC 9659).
const mostZstd = 8 << 20

var codings = [...]coding{
	{"zstd", mostZstd, func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostZstd))
	}},
	{"br", 16 << 20, func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
	{"gzip", 64 << 10, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
}

// New returns the filter for the codings of these names: zstd, br and gzip. Content that is
// larger than most bytes when it is decompressed fails with [fault.ContentTooLarge].
func New(names []string, most int64) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			c := of(x, names)
			if c == nil {
				return next(x)
			}
			if !x.Hold(c.memory) {
				return fault.New(fault.Overload, "there is no memory to decompress the request's content in; see overload.max_memory_bytes")
			}
			r := &x.Request
			for _, name := range ofCoding {
				r.RemoveName([]byte(name))
			}
			r.Remove(message.ContentLength)
			r.Framing, r.Length = message.Chunked, -1
			b := newContent(x.Body, c, most)
			defer b.close()
			x.Body = b
			return next(x)
		}
	}
}

// ofCoding are fields that are about the content in its coding: digests of it, too (RFC 9530).
var ofCoding = [...]string{"content-encoding", "content-md5", "digest", "content-digest", "repr-digest"}

// of is the coding that the request's content is decompressed from, nil for none.
func of(x *filter.Exchange, names []string) *coding {
	r := &x.Request
	if !r.HasBody() || r.Upgrade || x.Hop.GRPC {
		return nil
	}
	var said []byte
	for i := range r.Fields {
		f := &r.Fields[i]
		switch name := r.Bytes(f.Name); {
		case f.Removed:
		case message.EqualFold(name, "content-range"):
			return nil // a part of compressed content (RFC 9110 section 14.5)
		case message.EqualFold(name, "content-encoding"):
			if value := bytes.TrimSpace(r.Bytes(f.Value)); len(value) > 0 {
				if said != nil {
					return nil // several codings
				}
				said = value
			}
		}
	}
	for i := range codings {
		c := &codings[i]
		if message.EqualFold(said, c.name) || c.name == "gzip" && message.EqualFold(said, "x-gzip") { // RFC 9110 section 8.4.1.3
			if slices.Contains(names, c.name) {
				return c
			}
		}
	}
	return nil
}

func tooLarge(most int64) error {
	return fault.New(fault.ContentTooLarge, fmt.Sprintf("the request's content is larger than the %d bytes that the route allows when it is decompressed (decompress.max)", most))
}
