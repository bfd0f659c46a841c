package http2

import (
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/overload"
)

// streams are those of a connection, and what is kept of them to be used again.
type streams struct {
	open   map[uint32]*Stream // by identifier
	active int                // how many there are; a client's are counted before they have an identifier
	closed closedStreams
	done   uint64 // how many have ended whole

	nextID atomic.Uint32 // a client's next stream; changed under the lock
	lastID uint32        // a server's last stream from its client, of those that it took

	held      int           // how many a server's owners have not closed
	left      chan struct{} // tells the reader that one has been
	idleSince time.Duration // when the last one ended

	free   []*Stream
	blocks []*block
	keeps  bool // whether what an idle connection has of them waits for what comes next: see busy
}

const (
	keptStreams = 32
	keptBytes   = 4 << 10 // of what a stream or a block has in it
	// restingStreams is how many streams an idle connection keeps, and blocks for each
	// of them.
	restingStreams = 1
	// restAfter is how long a connection keeps more than that: clients that send several
	// requests at once send the next ones when they have all responses.
	restAfter = time.Second
)

// remove takes a stream out, which has ended in such a way.
func (t *streams) remove(s *Stream, how ending) {
	t.active--
	if how == endedWhole {
		t.done++
	}
	if s.id != 0 {
		delete(t.open, s.id)
		t.closed.add(s.id, how)
	}
}

// takeFree returns a stream to be used again, nil if there is none.
func (t *streams) takeFree() *Stream {
	n := len(t.free)
	if n == 0 {
		return nil
	}
	s := t.free[n-1]
	t.free[n-1] = nil
	t.free = t.free[:n-1]
	return s
}

// dropFree gives up all but n of the streams that are kept.
func (t *streams) dropFree(n int) {
	for _, s := range t.free[min(len(t.free), n):] {
		s.stopTimer()
		s.drop()
	}
	t.free = shorter(t.free, n)
}

// dropBlocks gives up all but n of the blocks that are kept.
func (t *streams) dropBlocks(account *overload.Account, n int) {
	for _, b := range t.blocks[min(len(t.blocks), n):] {
		account.Give(b.size())
	}
	t.blocks = shorter(t.blocks, n)
}

// shorter is all but for what comes after the first n.
func shorter[T any](all []*T, n int) []*T {
	if len(all) <= n {
		return all
	}
	clear(all[n:])
	return all[:n]
}

// newBlock returns a block, an old one if there is any.
func (c *Conn) newBlock() *block {
	t := &c.streams
	n := len(t.blocks)
	if n == 0 {
		return new(block)
	}
	b := t.blocks[n-1]
	t.blocks[n-1] = nil
	t.blocks = t.blocks[:n-1]
	c.nio.Account.Give(b.size())
	return b
}

// keepBlock keeps a block, which may be nil, for newBlock.
func (c *Conn) keepBlock(b *block) {
	t := &c.streams
	if b != nil && cap(b.wire) <= keptBytes && len(t.blocks) < keptStreams && !c.shutdown.ended {
		t.blocks = append(t.blocks, b)
		c.nio.Account.Take(b.size())
	}
}

// busy notes that streams come and go, so that what they leave is kept for the next ones.
// The reader calls it, with the lock held.
func (c *Conn) busy() {
	c.busyAt = c.now
	if !c.streams.keeps {
		c.streams.keeps, c.restBy = true, c.now+restAfter
	}
}

// settle rests when streams have neither come nor gone for restAfter. The reader calls it
// when restBy has come, with the lock held.
func (c *Conn) settle() {
	if c.restBy = c.busyAt + restAfter; c.now < c.restBy {
		return
	}
	c.streams.keeps, c.restBy = false, 0
	c.rest()
}

// idle rests at once, unless what is kept waits for what comes next, and there is memory
// for it. It is called when there are no streams, with the lock held.
func (c *Conn) idle() {
	if !c.streams.keeps || c.short() {
		c.rest()
	}
}

// rest gives up what was kept for streams to come, but for what a single request needs.
// The lock is held.
func (c *Conn) rest() {
	c.streams.dropFree(restingStreams)
	c.streams.dropBlocks(&c.nio.Account, 2*restingStreams)
}
