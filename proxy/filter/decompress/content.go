package decompress

import (
	"errors"
	"io"
	"sync"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// content is a request's content, decompressed. A decoder can't stop in the middle of what it
// reads, and go on later, as a [filter.Body] can. So it has a goroutine of its own, which
// reads when Next waits for a piece, and goes on if Next is stopped meanwhile.
type content struct {
	filter.Body
	from   reader
	coding *coding
	most   int64
	done   chan struct{} // closed when the goroutine has ended; nil before it has begun

	mu      sync.Mutex // guards what follows
	changed sync.Cond  // on mu
	wanted  bool       // Next waits for a piece, or has
	ready   bool       // the piece is there, or err
	piece   []byte
	err     error
	panic   any // of the decoder
	stopped bool
	closed  bool
}

func newContent(b filter.Body, c *coding, most int64) *content {
	d := &content{Body: b, from: reader{body: b}, coding: c, most: most}
	d.changed.L = &d.mu
	return d
}

// Whole is false: how much it is is not known before it is decompressed.
func (d *content) Whole() ([]byte, bool) { return nil, false }

// Next waits for the next piece.
func (d *content) Next() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		go d.decode()
	}
	d.wanted = true
	d.changed.Broadcast()
	for !d.ready {
		if d.stopped {
			return nil, filter.ErrStopped
		}
		d.changed.Wait()
	}
	if d.panic != nil {
		panic(d.panic) // whoever reads the content catches it
	}
	if d.err != nil {
		return nil, d.err
	}
	d.ready, d.wanted = false, false
	return d.piece, nil
}

// Stop has a Next that waits return. The client's content is still waited for: see close.
func (d *content) Stop() { d.stop(true) }

// Resume lets Next wait again.
func (d *content) Resume() { d.stop(false) }

func (d *content) stop(stopped bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = stopped
	d.changed.Broadcast()
}

// close ends the goroutine.
func (d *content) close() {
	d.mu.Lock()
	d.closed = true
	d.changed.Broadcast()
	done := d.done
	d.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	default:
		d.Body.Stop()
		<-done
		d.Body.Resume()
	}
}

// decode decompresses a piece each time that one is wanted.
func (d *content) decode() {
	defer close(d.done)
	defer func() {
		if p := recover(); p != nil {
			d.mu.Lock()
			d.panic, d.ready = p, true
			d.changed.Broadcast()
			d.mu.Unlock()
		}
	}()
	var decoder io.Reader
	defer func() {
		if z, ok := decoder.(interface{ Close() }); ok { // of zstd
			z.Close()
		}
	}()
	buf := make([]byte, 16<<10)
	var total int64
	for d.await() {
		var n int
		var err error
		if decoder == nil {
			decoder, err = d.coding.open(&d.from)
		}
		if err == nil {
			n, err = decoder.Read(buf)
		}
		switch total += int64(n); {
		case total > d.most:
			n, err = 0, tooLarge(d.most)
		case n > 0:
			err = nil // which comes again
		case err != nil:
			err = d.cause(err)
		}
		d.give(buf[:n], err)
		if err != nil {
			return
		}
	}
}

// await waits until a piece is wanted; false where none will be.
func (d *content) await() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for (!d.wanted || d.ready) && !d.closed {
		d.changed.Wait()
	}
	return !d.closed
}

// give hands a piece to Next. One that is empty is not: more is read for it.
func (d *content) give(piece []byte, err error) {
	if len(piece) == 0 && err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.piece, d.err, d.ready = piece, err, true
	d.changed.Broadcast()
}

// cause is what the end of the decoder means. What comes behind the compressed content must
// be its end.
func (d *content) cause(err error) error {
	if errors.Is(err, io.EOF) && d.from.err == nil {
		if n, _ := d.from.Read(make([]byte, 1)); n > 0 {
			err = errors.New("more follows behind its end")
		}
	}
	switch {
	case d.from.err != nil && !errors.Is(d.from.err, io.EOF):
		return d.from.err // the client's failure
	case errors.Is(err, io.EOF), !d.from.any: // no bytes are no content, whatever the coding
		return io.EOF
	}
	return fault.New(fault.BadRequest, "the request's content is not what its content-encoding says ("+d.coding.name+"): "+err.Error())
}

// reader reads a Body.
type reader struct {
	body filter.Body
	left []byte
	any  bool  // some bytes were there
	err  error // of the body, io.EOF too
}

func (r *reader) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.left, r.err = r.body.Next(); r.err != nil {
			r.left = nil
		}
	}
	n := copy(b, r.left)
	r.left, r.any = r.left[n:], true
	return n, nil
}
