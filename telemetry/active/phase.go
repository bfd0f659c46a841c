package active

import (
	"sync/atomic"
	"time"
)

// Phase is what a hop waits for.
type Phase uint8

const (
	// Route is what comes before the first attempt, once the route is known.
	Route Phase = iota
	// Connection is a connection to the endpoint.
	Connection
	// FirstByte is the endpoint's answer: the request has been sent.
	FirstByte
	// Retry is the time before the next attempt.
	Retry
	// Content is more of the endpoint's answer, which has begun.
	Content
	// Client is the client: it is to take the response.
	Client
	// Upload is the client, too: it is to send the rest of the request.
	Upload
	// Tunnel is bytes of either side.
	Tunnel
	// Queue is a place among those of its route that are under way.
	Queue
)

// String returns the word of the admin API.
func (p Phase) String() string {
	return [...]string{"route", "connection", "first_byte", "retry", "content", "client", "upload", "tunnel", "queue"}[p]
}

// Words says the same to a person.
func (p Phase) Words() string {
	return [...]string{"its first attempt", "a connection", "the endpoint's first byte", "the next attempt", "more of the endpoint's response",
		"the client to read", "the client to send", "bytes of the tunnel", "room among the requests of its route"}[p]
}

// begun reports whether the response has begun.
func (p Phase) begun() bool { return p == Content || p == Client || p == Tunnel }

// Wait notes what the hop waits for since the given time from its start; 0 is a time that
// is not known.
func (e *Entry) Wait(p Phase, since time.Duration) { atomic.StoreUint64(&e.wait, pack(p, since)) }

const phaseBits = 4

func pack(p Phase, since time.Duration) uint64 { return uint64(since)<<phaseBits | uint64(p) }

// waits is what the hop waits for, and since when.
func (e *Entry) waits() (Phase, time.Duration) {
	w := atomic.LoadUint64(&e.wait)
	return Phase(w & (1<<phaseBits - 1)), time.Duration(w >> phaseBits)
}

func (e *Entry) begun() bool {
	p, _ := e.waits()
	return p.begun()
}
