package netio

import (
	"sync"
	"time"
)

// BufferSize is the size of a read buffer, in bytes. A head that needs more
// makes its connection's buffer grow (see [Conn.Fill]).
const BufferSize = 16 << 10

// Shared is what the connections of one proxy have in common: read buffers
// and a clock. Use [NewShared].
type Shared struct {
	buffers sync.Pool
	epoch   time.Time
}

// NewShared returns a Shared with no buffers yet.
func NewShared() *Shared {
	return &Shared{epoch: time.Now()}
}

// Now is the monotonic clock, as the time since s was made.
func (s *Shared) Now() time.Duration { return time.Since(s.epoch) }

// At converts a time that has a monotonic reading to [Shared.Now]'s scale.
func (s *Shared) At(t time.Time) time.Duration { return t.Sub(s.epoch) }

// Borrow returns a buffer of [BufferSize].
func (s *Shared) Borrow() *[BufferSize]byte {
	if b, ok := s.buffers.Get().(*[BufferSize]byte); ok {
		return b
	}
	return new([BufferSize]byte)
}

// Return takes a buffer back.
func (s *Shared) Return(b *[BufferSize]byte) { s.buffers.Put(b) }
