package netio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/overload"
)

// BufferSize is the size of a read buffer, in bytes. A head that needs more
// makes its connection's buffer grow (see [Conn.Fill]); a connection whose bytes
// stream in fast gets a larger one for as long as they do.
const BufferSize = 16 << 10

// The sizes of the larger read buffers, in bytes, and what all of them together
// may take. Where that is used up, connections go on with [BufferSize]: so n
// connections take at most n times BufferSize and LargeBuffers.
const (
	fastSize     = 128 << 10
	fasterSize   = 512<<10 + BufferSize // half a MiB of content with the head before it
	LargeBuffers = 64 << 20
)

// slowness is how long the bytes of a larger buffer may take to be passed on. A
// connection that takes longer gets a smaller one: it would keep the larger from
// others, and gain nothing.
const slowness = 10 * time.Millisecond

// grade is which size of buffer a connection has.
type grade uint8

const (
	usual  grade = iota // BufferSize
	fast                // fastSize
	faster              // fasterSize
)

// size is in bytes.
func (g grade) size() int { return [...]int{BufferSize, fastSize, fasterSize}[g] }

// Shared is what the connections of one proxy have in common: read buffers,
// a clock, and what all of them may hold. Use [NewShared].
type Shared struct {
	// Memory is the budget that read buffers are counted in.
	Memory *overload.Budget

	buffers sync.Pool    // of *[BufferSize]byte
	larger  [2]sync.Pool // of *[]byte, of the grades fast and faster
	lent    atomic.Int64 // bytes of larger buffers that are in use
	epoch   time.Time
}

// NewShared returns a Shared with no buffers yet, and no limit on memory.
func NewShared() *Shared {
	return &Shared{Memory: overload.NewBudget(), epoch: time.Now()}
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

// borrowLarge returns a buffer of a grade above the usual, or nil where that would
// be more than all connections together may have, or memory gets short.
func (s *Shared) borrowLarge(g grade) *[]byte {
	if s.Memory.Level() >= overload.Shrink {
		return nil
	}
	n := int64(g.size())
	if s.lent.Add(n) > LargeBuffers {
		s.lent.Add(-n)
		return nil
	}
	if b, ok := s.larger[g-fast].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, n)
	return &b
}

// returnLarge takes a buffer of borrowLarge back.
func (s *Shared) returnLarge(g grade, b *[]byte) {
	s.larger[g-fast].Put(b)
	s.lent.Add(-int64(g.size()))
}

// Lent is how many bytes of read buffers above [BufferSize] are in use, at most
// [LargeBuffers].
func (s *Shared) Lent() int64 { return s.lent.Load() }
