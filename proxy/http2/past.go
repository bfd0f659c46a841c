package http2

// past remembers how the streams that ended last did. What is still on its way
// for a stream that this side has reset is in order; for others it is not.
type past struct {
	ring [128]struct {
		id  uint32
		how ending
	}
	next int
}

// ending is how a stream ended.
type ending uint8

const (
	longAgo ending = iota // or never begun
	endedWhole
	resetByPeer
	resetHere
)

func (p *past) add(id uint32, how ending) {
	e := &p.ring[p.next%len(p.ring)]
	e.id, e.how = id, how
	p.next++
}

// find returns how a stream ended. The latest entry counts: one that was
// refused may be reset after its end.
func (p *past) find(id uint32) *ending {
	for i := range min(p.next, len(p.ring)) {
		if e := &p.ring[(p.next-1-i)%len(p.ring)]; e.id == id {
			return &e.how
		}
	}
	return new(ending)
}

// full reports whether there may be streams that it has forgotten.
func (p *past) full() bool { return p.next > len(p.ring) }
