package delivery

import (
	"errors"
	"log/slog"
	"time"
)

// reports is what a Queue's goroutine has told of its exporter.
type reports struct {
	warned    time.Time // when it last warned
	troubled  bool      // it has warned, and not yet reported the end
	dropsSeen uint64    // how many drops there were at the last report
	failed    bool      // the last Export failed
}

// report logs trouble at most once every warnEvery, and its end once. Only the exporting
// goroutine calls it, since a log may block.
func (q *Queue[B]) report(now time.Time, err error) {
	d, r := &q.dropped, &q.reports
	drops := d.full.Load() + d.failed.Load() + d.rejected.Load()
	// Drops during the rest need no report once it works again.
	fine := err == nil && (drops == r.dropsSeen || r.failed)
	r.dropsSeen, r.failed = drops, err != nil
	if fine {
		if r.troubled {
			r.troubled = false
			q.options.Log.Info("exporting "+q.options.What+" works again", "exporter", q.Name())
		}
		return
	}
	if !r.warned.IsZero() && now.Sub(r.warned) < warnEvery {
		return
	}
	what, reason := q.options.What+" are lost", "the exporter is slower than the traffic"
	if err != nil {
		reason = err.Error()
		reason = reason[:min(len(reason), maxErrorText)]
	}
	if throttled := (*ThrottledError)(nil); errors.As(err, &throttled) {
		what = q.options.What + " wait, and are lost if there is no more room"
	}
	q.options.Log.Warn(what, "exporter", q.Name(), "reason", reason,
		slog.Group("dropped_so_far", "queue_full", d.full.Load(),
			"export_failed", d.failed.Load(), "rejected", d.rejected.Load()))
	r.warned, r.troubled = now, true
}
