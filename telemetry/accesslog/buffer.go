package accesslog

import "sync"

const (
	// chunkSize is small enough that a write ends before the Go runtime preempts it,
	// which would cost more than the write.
	chunkSize = 32 << 10
	// chunkFull leaves room for the line that makes a chunk full.
	chunkFull = chunkSize - 4<<10
	// spareChunks is how many written chunks are kept for reuse: as many as a busy proxy
	// fills before the writer gets to run on a single processor.
	spareChunks = 16
)

// buffer is the bounded queue of chunks between the goroutine that fills them and the one
// that writes them. Neither ever waits for the other.
type buffer struct {
	limit int
	ready chan struct{} // one token: there is something to take

	mu    sync.Mutex
	queue [][]byte
	held  int // capacity in bytes of the queue and of the chunk being written
	spare [][]byte
}

// begin returns a chunk to fill: the given one, or another if that is nil. It returns
// false if the limit is reached.
func (b *buffer) begin(chunk []byte) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held >= b.limit {
		return chunk, false
	}
	if chunk != nil {
		return chunk, true
	}
	if n := len(b.spare); n > 0 {
		chunk = b.spare[n-1]
		b.spare = b.spare[:n-1]
		return chunk, true
	}
	return make([]byte, 0, chunkSize), true
}

// add queues chunk and returns the chunk to fill next: nil, or the same one if its lines
// fitted into a waiting chunk. So a stuck writer holds full chunks, not one for each
// flush.
func (b *buffer) add(chunk []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.queue); n > 0 && len(chunk) <= cap(b.queue[n-1])-len(b.queue[n-1]) {
		b.queue[n-1] = append(b.queue[n-1], chunk...)
		return chunk[:0]
	}
	b.queue = append(b.queue, chunk)
	b.held += cap(chunk)
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return nil
}

// take returns the oldest chunk, to be given to done, or nil.
func (b *buffer) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	chunk := b.queue[0]
	n := copy(b.queue, b.queue[1:])
	b.queue[n] = nil
	b.queue = b.queue[:n]
	return chunk
}

// empty reports whether nothing waits to be taken.
func (b *buffer) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}

// done takes a written chunk back. It leaves a chunk that grew for a long line to the
// garbage collector.
func (b *buffer) done(chunk []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= cap(chunk)
	if len(b.spare) < spareChunks && cap(chunk) == chunkSize {
		b.spare = append(b.spare, chunk[:0])
	}
}
