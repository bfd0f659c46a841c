package forward

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/active"
)

// upload sends the content of one attempt from a goroutine of its own. The attempt
// meanwhile waits for the response, the client and the clock, so a slow endpoint can't
// make it deaf. An attempt whose content went out with the head has no upload.
type upload struct {
	first  []byte  // what is sent first
	source *source // and what is read from then on; nil for nothing
	stream upstream.Stream
	shared *netio.Shared
	start  time.Time     // the Hop's
	idle   time.Duration // how long both sides may be silent
	entry  *active.Entry // of the hop

	done   chan struct{}               // closed when it has ended
	all    atomic.Bool                 // all was sent
	failed atomic.Pointer[fault.Error] // the client's failure
	asking atomic.Bool                 // it waits for the client
	sent   int64                       // bytes of content; after done
	waited time.Duration               // for the endpoint to take them; after done

	mu       sync.Mutex    // guards the stream's Limit, and what follows
	limits   limits        // a copy of the delivery's
	end      time.Duration // of the content, from start; 0 is not yet
	answered bool          // the response has begun
}

// startUpload begins to send first, and then what is still read from the client.
func (a *attempt) startUpload(first []byte) {
	d, h, s := a.d, a.x.Hop, a.d.content.from
	f := d.f
	u := &upload{
		first: first, source: s, sent: h.LastAttempt().BytesSent, stream: a.stream, shared: f.Shared, start: h.Start,
		idle: d.idle(), done: make(chan struct{}), limits: d.limits, entry: &d.x.Active,
	}
	if s != nil {
		s.resume()
	}
	a.upload = u
	go func() {
		defer close(u.done)
		defer f.rescueUpload(u, h)
		u.run()
	}()
}

// run sends the content. A failure of the client's ends the attempt. A failure of the
// endpoint's does not: it may have answered before it stopped reading.
func (u *upload) run() {
	err := u.copy()
	u.waited = u.stream.TakeBlocked()
	var client *fault.Error
	switch {
	case err == nil:
		u.all.Store(true)
	case errors.As(err, &client) && (client.Kind.Side() == fault.Downstream || client.Kind == fault.Overload || client.Kind == fault.Overflow):
		u.failed.Store(client) // first: closing makes the exchange ask for it
		u.stream.Close()
	}
}

// copy sends the content until it ends. An error of the client's side is the
// client's; any other is the endpoint's.
func (u *upload) copy() error {
	const most = 64 << 10 // a piece, so that it is seen to move
	for first := u.first; len(first) > 0; {
		n := min(len(first), most)
		if err := u.write(first[:n]); err != nil {
			return err
		}
		first = first[n:]
	}
	if u.source == nil {
		return u.stream.Finish(nil)
	}
	for !u.source.ended() {
		u.asks(true)
		piece, err := u.source.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err // and it still waits for the client
		}
		u.asks(false)
		if err == nil {
			err = u.write(piece)
		} else {
			u.whole()
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return u.stream.Finish(u.source.trailers())
}

// asks notes that the upload waits for the client, or does so no more.
func (u *upload) asks(client bool) {
	u.asking.Store(client)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.answered:
	case client:
		u.entry.Wait(active.Upload, 0)
	default:
		u.entry.Wait(active.FirstByte, 0)
	}
}

// write sends a piece; as long as content moves, the endpoint is not idle.
func (u *upload) write(piece []byte) error {
	if err := u.stream.Content(piece); err != nil {
		return err
	}
	u.sent += int64(len(piece))
	u.stream.AwaitMore(u.shared.Now())
	return nil
}

// watch begins the request's time while the upload waits for the endpoint. It is asked
// now and then by the attempt, which waits for the response.
func (u *upload) watch(gone func() bool) func() bool {
	return func() bool {
		if u.source != nil && u.source.look() {
			u.whole()
		}
		return gone != nil && gone()
	}
}

// whole begins the request's time, and that of the attempt, since all of the request
// is here.
func (u *upload) whole() {
	end, _ := content{from: u.source}.ended()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.limits.begin(end)
	if u.end == 0 {
		u.entry.Limit(u.limits.known())
	}
	u.end = end
	if by := u.by(); by > 0 {
		u.limit(by)
	}
}

// answers lifts the time that the response had to begin.
func (u *upload) answers() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered = true
	if u.limits.toBegin() {
		u.limit(u.by())
	}
}

// by is when the attempt's time is up; 0 is never, or not known yet.
func (u *upload) by() time.Duration {
	switch {
	case u.end == 0:
		return 0
	case u.answered:
		return u.limits.until
	}
	return u.limits.attemptBy(u.end)
}

// limit bounds the attempt: by is from start, 0 for no bound.
func (u *upload) limit(by time.Duration) {
	if by > 0 {
		by += u.shared.At(u.start)
	}
	u.stream.Limit(by)
}

// cause is the client's failure if that made the attempt fail with err: because the
// upload then closed the stream, or because the endpoint waited for content in vain.
// Otherwise it is err.
func (u *upload) cause(err error) error {
	if failed := u.failed.Load(); failed != nil {
		return failed
	}
	if fault.Of(err).Kind == fault.UpstreamIdle && u.asking.Load() {
		return fault.New(fault.RequestIdle, "the client moved no byte for "+u.idle.String())
	}
	return err
}

// stop ends the upload and waits for its end. It closes the stream of an upload that was
// not done; the next attempt can read the content on. It reports whether all was sent.
func (u *upload) stop() bool {
	if u.all.Load() {
		<-u.done
		return true
	}
	if u.source != nil {
		u.source.body.Stop()
		defer u.source.body.Resume()
	}
	u.stream.Close()
	<-u.done
	return false
}

// settle ends the upload, if there is one, and notes how much was sent. It reports
// whether that was all.
func (a *attempt) settle() bool {
	u := a.upload
	if u == nil {
		return true
	}
	all := u.stop()
	a.upload = nil
	record := a.x.Hop.LastAttempt()
	record.BytesSent, record.WriteBlocked = u.sent, u.waited
	return all
}
