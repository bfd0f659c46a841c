package admin

import (
	"net/http"
	"time"
)

// A client that does not read its answer holds a place that others wait for.
const (
	// stall is how long it may take to read one piece.
	stall = 5 * time.Second
	// slowest is how long it may take to read an answer.
	slowest = 30 * time.Second
	// piece is how many bytes are written at once, and how much of an unread answer the
	// kernel should buffer.
	piece = 32 << 10
)

// paced writes to a client as long as the client reads. After that all writes fail, and
// the connection is closed.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	until   time.Time // zero before the answer began
}

func pace(w http.ResponseWriter, stall time.Duration) *paced {
	p := &paced{ResponseWriter: w, control: http.NewResponseController(w), stall: stall}
	p.extend() // what is written without a body, too
	p.until = time.Time{}
	return p
}

// endless lets the answer go on for as long as the client reads it.
func (p *paced) endless() { p.until = time.Now().Add(1 << 62) }

// Unwrap is for [http.ResponseController].
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *paced) Write(b []byte) (n int, err error) {
	for {
		part := b[:min(len(b), piece)]
		p.extend()
		m, err := p.ResponseWriter.Write(part)
		n += m
		if b = b[len(part):]; err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// extend gives the client time for another piece. It ignores writers without deadlines,
// as in tests.
func (p *paced) extend() {
	now := time.Now()
	if p.until.IsZero() {
		p.until = now.Add(slowest)
	}
	deadline := now.Add(p.stall)
	if p.until.Before(deadline) {
		deadline = p.until
	}
	_ = p.control.SetWriteDeadline(deadline)
}
