package record

import (
	"sync/atomic"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// ring is a bounded queue of many producers and one consumer after Dmitry
// Vyukov: each slot has a sequence number that says who may use it, so that
// a push is one compare-and-swap and a pop is none.
//
// A slot that has the sequence pos is free for the push at pos; one that has
// pos+1 holds the Hop for the pop at pos; popping sets it to pos+len(slots),
// the push at the same slot one lap later.
//
// The two positions have their own cache lines: producers never touch the consumer's.
// Slots share cache lines, because the same core mostly pushes neighbours, and a ring
// four times as large would cost more than it saves.
type ring struct {
	slots []slot
	mask  uint64
	_     [64]byte
	tail  atomic.Uint64 // next position to push
	_     [56]byte
	head  uint64 // next position to pop; the consumer's own
	_     [56]byte
}

type slot struct {
	seq atomic.Uint64
	hop *hop.Hop
}

// init makes a ring of capacity slots, a power of two.
func (r *ring) init(capacity int) {
	r.slots = make([]slot, capacity)
	r.mask = uint64(capacity - 1)
	for i := range r.slots {
		r.slots[i].seq.Store(uint64(i))
	}
}

// push stores h and returns the position it got; false means that the ring is
// full.
func (r *ring) push(h *hop.Hop) (uint64, bool) {
	pos := r.tail.Load()
	for {
		s := &r.slots[pos&r.mask]
		switch ahead := int64(s.seq.Load() - pos); {
		case ahead == 0:
			if r.tail.CompareAndSwap(pos, pos+1) {
				s.hop = h
				s.seq.Store(pos + 1)
				return pos, true
			}
			pos = r.tail.Load()
		case ahead < 0:
			return 0, false
		default: // another producer took this slot
			pos = r.tail.Load()
		}
	}
}

// pop returns the oldest Hop. It returns nil if there is none, or if its producer has not
// finished storing it.
func (r *ring) pop() *hop.Hop {
	s := &r.slots[r.head&r.mask]
	if s.seq.Load() != r.head+1 {
		return nil
	}
	h := s.hop
	s.hop = nil
	s.seq.Store(r.head + r.mask + 1)
	r.head++
	return h
}

// ready reports whether pop would return a Hop.
func (r *ring) ready() bool {
	return r.slots[r.head&r.mask].seq.Load() == r.head+1
}
