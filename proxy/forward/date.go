package forward

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
)

// dates writes the Date of responses that came without one. It formats a time
// once a second, however many responses there are.
type dates struct{ last atomic.Pointer[date] }

// date is a second as the Date field has it (RFC 9110 section 5.6.7).
type date struct {
	second int64
	text   string
}

// ahead is how many seconds the remembered time may be later than the one that
// is asked for: two requests can read the clock in one order and get here in
// the other. More than that means that the clock was set back.
const ahead = 2

// at formats a time, or returns what it made of the same second before.
func (d *dates) at(t time.Time) string {
	second := t.Unix()
	if last := d.last.Load(); last != nil && last.second >= second && last.second <= second+ahead {
		return last.text
	}
	made := &date{second, t.UTC().Format(http.TimeFormat)}
	d.last.Store(made)
	return made.text
}

// date gives a final response a Date where it has none (RFC 9110 section
// 6.6.1). An endpoint's own is left as it is, whatever it says. at is when the
// response came or was made, from the start of the Hop.
func (f *Forwarder) date(r *message.Head, start time.Time, at time.Duration) {
	if r.Status >= 200 && !r.Has(message.Date) {
		r.Add(message.Date, "date", f.dates.at(start.Add(at)))
	}
}
