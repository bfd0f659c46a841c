package netio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/overload"
)

// BufferSize is the size of a read buffer, in bytes. A buffer grows for a larger head
// (see [Conn.Fill]). A connection that receives fast gets a larger buffer for as long as
// it does.
const BufferSize = 16 << 10

// The sizes of the larger read buffers, in bytes, and the limit on all of them together.
// When the limit is reached, connections go on with [BufferSize]. So n connections take
// at most n * BufferSize + LargeBuffers.
const (
	fastSize     = 128 << 10
	fasterSize   = 512<<10 + BufferSize // half a MiB of content and the head before it
	LargeBuffers = 64 << 20
)

// slowness is how long a connection may take to pass on the bytes of a larger buffer. One
// that takes longer gets a smaller buffer: it gains nothing from the large one, and
// others could use it.
const slowness = 10 * time.Millisecond

// grade is the size class of a connection's buffer.
type grade uint8

const (
	usual  grade = iota // BufferSize
	fast                // fastSize
	faster              // fasterSize
)

// size returns the size in bytes.
func (g grade) size() int { return [...]int{BufferSize, fastSize, fasterSize}[g] }

// Shared holds what the connections of one proxy share: read buffers, a clock and a
// memory budget. Use [NewShared].
type Shared struct {
	// Memory is the budget that read buffers count against.
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

// Now returns the time since s was made, by the monotonic clock.
func (s *Shared) Now() time.Duration { return time.Since(s.epoch) }

// At converts a time to the scale of [Shared.Now]. The time must have a monotonic
// reading.
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

// borrowLarge returns a buffer of a grade above usual. It returns nil if all larger
// buffers together would exceed LargeBuffers, or if memory gets short.
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

// Lent returns how many bytes of buffers larger than [BufferSize] are in use, at most
// [LargeBuffers].
func (s *Shared) Lent() int64 { return s.lent.Load() }
