package http2

// closedStreams remembers how each of the latest streams ended. Frames for a stream
// that this side has reset may still be on their way; for any other stream that has
// ended they are an error.
type closedStreams struct {
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

func (c *closedStreams) add(id uint32, how ending) {
	e := &c.ring[c.next%len(c.ring)]
	e.id, e.how = id, how
	c.next++
}

// find returns how a stream ended. The latest entry counts: one that was
// refused may be reset after its end.
func (c *closedStreams) find(id uint32) *ending {
	for i := range min(c.next, len(c.ring)) {
		if e := &c.ring[(c.next-1-i)%len(c.ring)]; e.id == id {
			return &e.how
		}
	}
	return new(ending)
}

// full reports whether there may be streams that it has forgotten.
func (c *closedStreams) full() bool { return c.next > len(c.ring) }
