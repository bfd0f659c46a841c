package evidence

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Attempt is what the caller knows of the attempt that it asks about.
type Attempt struct {
	// Who is what a sentence calls the other side: "the application" or "the endpoint".
	Who string
	// Outcome is how the attempt ended.
	Outcome Outcome
	// Sent is true if the whole request was sent, Answered if a response has begun.
	Sent, Answered bool
	// Waited is how long ago the request was sent.
	Waited time.Duration
}

// Outcome is how an attempt ended that is worth a question.
type Outcome uint8

const (
	// GaveUp means that this side stopped waiting: the time was up, or the client left.
	GaveUp Outcome = iota
	// Broke means that the other side ended the connection, or its part of it.
	Broke
	// Slow means that the attempt succeeded, but late.
	Slow
)

// connection is what this machine's kernel knows of its end of a connection.
type connection struct {
	// gone is true if the connection has ended in both directions, as after a reset. ended
	// is true if the other side sends no more.
	gone, ended bool
	// unacked counts the bytes that the other side's kernel has not acknowledged, unsent
	// those of them that were not sent yet.
	unacked, unsent int
	// retransmits is how often the oldest of them was sent again, allRetransmits how many
	// segments were in the connection's life. probes is how often a closed window was
	// probed.
	retransmits, allRetransmits, probes int
	// rtt is the smoothed round-trip time.
	rtt time.Duration
	// sent and heard are how long ago data was last sent and received. heard is the
	// connection's age if nothing was received.
	sent, heard time.Duration
}

// farEnd is what this machine's kernel knows of the other end of a connection, if that is
// on this machine, too.
type farEnd struct {
	// accepted is false as long as no process has taken the connection.
	accepted bool
	// unread counts the bytes that the kernel has received, and nobody has read.
	unread int
}

// listeners is who listens at an address: how many sockets, how many connections wait for
// them to be accepted, and how many may.
type listeners struct{ sockets, waiting, limit int }

// say puts what the kernel knows into words; empty is nothing worth saying. far and l are
// nil if they are not known.
func (a *Attempt) say(near *connection, far *farEnd, l *listeners) string {
	var text string
	switch {
	case a.Outcome == Broke:
		text = a.sayEnded(near)
		if l != nil && l.sockets == 0 {
			text = Join(text, "nobody listens at its address any more")
		}
	case a.Outcome == Slow && l == nil:
		text = fmt.Sprintf("the connection's round-trip time is %s, and %s", Duration(near.rtt), retransmitted(near.allRetransmits))
	case a.Outcome == Slow, near.gone, near.ended: // on this machine; or before it was noticed
	case far != nil && !far.accepted:
		text = fmt.Sprintf("the kernel took the connection, but %s has not accepted it%s", a.Who, far.waiting())
	case far != nil && far.unread > 0:
		text = fmt.Sprintf("the kernel took the request, but %s has left %s unread for %s", a.Who, count(far.unread, "byte", "bytes"), Duration(near.sent))
	case near.unacked > 0:
		text = a.sayUnacked(near)
	case far != nil:
		text = fmt.Sprintf("%s has read %s, and %s", a.Who, a.request(), a.silence(near))
	default:
		text = fmt.Sprintf("the endpoint has acknowledged %s, and %s", a.request(), a.silence(near))
	}
	return Join(text, l.queue())
}

// waiting says how much waits for a process that has yet to take the connection.
func (f *farEnd) waiting() string {
	switch f.unread {
	case 0:
		return ""
	case 1:
		return " (1 byte waits)"
	}
	return fmt.Sprintf(" (%d bytes wait)", f.unread)
}

// say says who listens at an address that did not take a connection.
func (l *listeners) say(address string) string {
	switch {
	case l.sockets == 0:
		return "nobody listens at " + address
	case l.waiting == 0:
		return "somebody listens at " + address + " now, and no connection waits to be accepted"
	}
	return "somebody listens at " + address + "; " + l.queue()
}

// queue says how many connections wait to be accepted; empty is none.
func (l *listeners) queue() string {
	switch {
	case l == nil || l.waiting == 0:
		return ""
	case l.waiting == 1:
		return fmt.Sprintf("1 connection waits to be accepted (the limit is %d)", l.limit)
	}
	return fmt.Sprintf("%d connections wait to be accepted (the limit is %d)", l.waiting, l.limit)
}

// Join puts two statements into one sentence; either may be empty.
func Join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// sayEnded is said of a connection that the other side has closed. After a reset the
// kernel does not know any more what was acknowledged.
func (a *Attempt) sayEnded(c *connection) string {
	switch {
	case !c.ended || a.Answered:
		return ""
	case c.unacked > 0:
		return fmt.Sprintf("the endpoint closed the connection with %s unacknowledged", count(c.unacked, "byte", "bytes"))
	}
	return fmt.Sprintf("the endpoint acknowledged %s before it closed the connection", a.request())
}

// sayUnacked is said of a connection with bytes that the other side has not acknowledged.
func (a *Attempt) sayUnacked(c *connection) string {
	waiting := count(c.unacked, "byte", "bytes") + " unacknowledged"
	switch {
	case c.retransmits > 0:
		return fmt.Sprintf("the endpoint acknowledges nothing: %s, %s, nothing received for %s", count(c.retransmits, "retransmit", "retransmits"), waiting, Duration(c.heard))
	case c.probes > 0 || c.unsent > 0:
		return fmt.Sprintf("the endpoint takes no more: it has left %s, %d of them not sent yet, and %s", waiting, c.unsent, a.silence(c))
	}
	return fmt.Sprintf("the endpoint has left %s for %s", waiting, Duration(c.sent))
}

// request is what was sent of the request.
func (a *Attempt) request() string {
	if a.Sent {
		return "the whole request"
	}
	return "all that was sent"
}

// silence says since when nothing was received. A connection that carries other requests,
// too, may not be silent.
func (a *Attempt) silence(c *connection) string {
	switch {
	case a.Answered:
		return "sent nothing more for " + Duration(c.heard)
	case c.heard+tolerance < a.Waited:
		return fmt.Sprintf("sent no response for %s, but its connection is alive: it sent something %s ago", Duration(a.Waited), Duration(c.heard))
	}
	return "sent nothing for " + Duration(a.Waited)
}

// retransmitted says how many segments were sent again in a connection's life.
func retransmitted(n int) string {
	if n == 0 {
		return "nothing was retransmitted"
	}
	return count(n, "segment was", "segments were") + " retransmitted in its life"
}

// tolerance is how far the kernel's clock may be behind ours: it counts in ticks of up to
// 10 ms.
const tolerance = 20 * time.Millisecond

// count says how many there are of something.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Duration writes a duration for a person: "15 s", "14.9 s", "120 ms", "0.3 ms".
func Duration(d time.Duration) string {
	value, unit := float64(d)/float64(time.Second), " s"
	if d < time.Second {
		value, unit = float64(d)/float64(time.Millisecond), " ms"
	}
	digits := 1
	if value >= 100 {
		digits = 0
	}
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(value*scale)/scale, 'f', -1, 64) + unit
}
