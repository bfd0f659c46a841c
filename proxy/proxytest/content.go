package proxytest

import (
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// RootRequest is a request for /.
const RootRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// Requests for two paths of one host.
const (
	RowRequest   = "GET /row HTTP/1.1\r\nHost: web.test\r\n\r\n"
	OtherRequest = "GET /other HTTP/1.1\r\nHost: web.test\r\n\r\n"
)

// OKResponse is a response with the content "ok".
const OKResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// EmptyResponse is a response without content.
const EmptyResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// Pattern returns n bytes, at most a MiB, of which each stretch is different
// from the others.
func Pattern(n int) string { return mebibyte()[:n] }

var mebibyte = sync.OnceValue(func() string {
	const size = 1 << 20
	b := make([]byte, 0, size+16)
	for i := 0; len(b) < size; i++ {
		b = append(strconv.AppendInt(b, int64(i), 16), '.')
	}
	return string(b[:size])
})

// Source is so many bytes, hashed on the way. They repeat after a stretch that
// has no length in common with any buffer.
type Source struct {
	left  int64
	text  []byte
	at    int
	Total hash.Hash64
	Sent  atomic.Int64
}

// NewSource makes a source of size bytes.
func NewSource(size int64) *Source {
	return &Source{left: size, text: []byte(Pattern(99_991)), Total: xxhash.New()}
}

// GRPCMessage is one message of gRPC, not compressed, as it is on the wire.
func GRPCMessage(content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(content))), content...)
}

// Read makes a Source an io.Reader.
func (s *Source) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), s.left)], s.text[s.at:])
	s.Total.Write(b[:n])
	s.left -= int64(n)
	s.Sent.Add(int64(n))
	s.at = (s.at + n) % len(s.text)
	return n, nil
}

// Digest is the length and the hash of all that comes.
func Digest(r io.Reader) (string, error) {
	h := xxhash.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	return digestOf(n, h.Sum64()), err
}

func digestOf(n int64, sum uint64) string { return fmt.Sprintf("%d bytes, %016x", n, sum) }

// Digest is that of all that was read from a source.
func (s *Source) Digest() string { return digestOf(s.Sent.Load(), s.Total.Sum64()) }
