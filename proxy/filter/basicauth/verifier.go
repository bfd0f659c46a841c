package basicauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/shed"
	"github.com/hopscope/hopscope/proxy/gate"
	"github.com/hopscope/hopscope/proxy/htpasswd"
	"github.com/hopscope/hopscope/telemetry/active"
)

const (
	// room is how many requests may wait until their password is compared, each for maxWait.
	room    = 1000
	maxWait = 5 * time.Second
	// remembered is for how long a right password is, and maxRemembered how many are.
	remembered    = 10 * time.Minute
	maxRemembered = 10_000
)

// Verifier compares passwords with hashes, for all routes of a proxy. As many as half of the
// processors may do so at a time, so that whoever sends wrong passwords can't have them all.
type Verifier struct {
	gate   gate.Gate
	atOnce int
	// keys make what is remembered worthless to whoever reads the memory and has no keys.
	keys [2][32]byte

	mu sync.RWMutex // over the rest
	// young and old have when a password was found to be right, by the digest of hash and
	// password. When young has its half of all, it becomes the old.
	young, old map[digest]time.Duration
}

type digest [sha256.Size]byte

// NewVerifier returns a Verifier that remembers nothing.
func NewVerifier() *Verifier {
	v := &Verifier{atOnce: max(runtime.GOMAXPROCS(0)/2, 1), young: map[digest]time.Duration{}}
	for i := range v.keys {
		_, _ = rand.Read(v.keys[i][:]) // it never fails
	}
	return v
}

// verify reports whether a password is that of a hash. If the user is not known, it is not, but
// is compared all the same, remembered or not: the time that it takes tells nothing. The error
// says why it is not clear: too many are being compared, or the request is not worth waiting
// for.
func (v *Verifier) verify(x *filter.Exchange, h htpasswd.Hash, known bool, password []byte) (right bool, err error) {
	d := v.digest(h.Text(), password)
	if known && v.knows(d, x.Now()) {
		return true, nil
	}
	waiter, in := v.gate.Enter(v.atOnce, room, gate.DefaultUrgency)
	if waiter != nil {
		if in, err = v.wait(x, waiter); err != nil {
			return false, err
		}
	}
	if !in {
		return false, busy(x)
	}
	defer v.gate.Leave()              // also where it panics
	if known && v.knows(d, x.Now()) { // of the request that was compared before
		return true, nil
	}
	if right = h.Matches(string(password)) && known; right {
		v.remember(d, x.Now())
	}
	return right, nil
}

// wait waits for the turn of a request; in is false if it did not come.
func (v *Verifier) wait(x *filter.Exchange, w *gate.Waiter) (in bool, err error) {
	settled := false
	defer func() {
		if !settled && v.gate.Settle(w) { // a panic, or nobody wants it any more
			v.gate.Leave()
		}
	}()
	x.Active.Wait(active.Queue, x.Now()-x.Began)
	if err := x.WaitFor(maxWait, w.Ready()); err != nil {
		return false, err
	}
	x.Active.Wait(active.Route, x.Now()-x.Began)
	settled = true
	return v.gate.Settle(w), nil
}

func busy(x *filter.Exchange) error {
	return shed.Answer{Status: 503, RetryAfter: time.Second}.To(fault.RouteOverflow,
		"as many passwords are being compared as this proxy has processors for; try again, or hash them with less cost (basic_auth)", x.Hop.GRPC)
}

// digest is what a right password is remembered by: a keyed hash of its hash and itself. So it
// is right for as long as a file has that hash, whatever file that is.
func (v *Verifier) digest(hash string, password []byte) digest {
	var space [32 + 2 + 256 + htpasswd.MaxPassword]byte
	b := append(space[:0], v.keys[0][:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(hash)))
	b = append(append(b, hash...), password...)
	inner := sha256.Sum256(b)
	clear(b)
	return sha256.Sum256(append(append(b[:0], v.keys[1][:]...), inner[:]...))
}

func (v *Verifier) knows(d digest, now time.Duration) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	at, ok := v.young[d]
	if !ok {
		at, ok = v.old[d]
	}
	return ok && now-at < remembered
}

func (v *Verifier) remember(d digest, now time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= maxRemembered/2 {
		v.old, v.young = v.young, map[digest]time.Duration{}
	}
	v.young[d] = now
}
