package upstream

import (
	"slices"
	"time"
)

// idleTimes learns after how long an endpoint closes idle connections, from the closes
// that the pool has seen. It has no clock of its own: every time is passed in, on one
// clock. The zero value knows nothing.
//
// An endpoint closes connections for other reasons, too: it restarts, drains, or has
// served enough requests on one. So only several closes that agree teach something, and
// a connection that was idle for longer and still open teaches the opposite.
type idleTimes struct {
	closes [mostCloses]idleClose // the oldest first
	n      int
	moment time.Duration // when the last close was; 0 is never
	mixed  bool          // closes of that moment disagree: they have another reason
	limit  time.Duration // what was learned; 0 is nothing
}

// idleClose is that the endpoint closed a connection which had been idle for age.
type idleClose struct{ age, moment time.Duration }

const (
	// mostCloses is how many closes are remembered, and enoughCloses how many of them must
	// agree.
	mostCloses, enoughCloses = 8, 3
	// shortestIdle is the shortest time that counts as idle. A connection that is closed
	// sooner was closed because of its last response.
	shortestIdle = 100 * time.Millisecond
	// oneMoment is how close together closes must be to have one reason, and so to count
	// once. All idle connections end together when an endpoint does.
	oneMoment = time.Second
)

// longest is the longest idle time that still agrees with a shorter one. Many servers look
// for idle connections only now and then, so the times differ.
func longest(shortest time.Duration) time.Duration { return shortest + shortest/4 }

// closed notes that the endpoint closed a connection that had been idle for so long.
func (t *idleTimes) closed(age, at time.Duration) {
	if age < shortestIdle {
		return
	}
	if t.moment != 0 && (at-t.moment).Abs() < oneMoment {
		t.another(age)
	} else {
		t.moment, t.mixed = at, false
		if t.n == mostCloses {
			t.n = copy(t.closes[:], t.closes[1:])
		}
		t.closes[t.n] = idleClose{age, at}
		t.n++
	}
	t.outlived(age)
	t.learn()
}

// another notes a further close of the moment of the last one.
func (t *idleTimes) another(age time.Duration) {
	if t.n == 0 || t.closes[t.n-1].moment != t.moment || t.mixed {
		return
	}
	last := &t.closes[t.n-1].age
	if low, high := min(*last, age), max(*last, age); high <= longest(low) {
		*last = low
		return
	}
	t.mixed = true
	t.n--
}

// outlived notes that a connection was idle for so long and was open until then.
func (t *idleTimes) outlived(age time.Duration) {
	kept := 0
	for _, c := range t.closes[:t.n] {
		if age <= longest(c.age) {
			t.closes[kept] = c
			kept++
		}
	}
	if t.n != kept {
		t.n = kept
		t.learn()
	}
}

// doubt is the idle time above which outlived changes anything; 0 is none.
func (t *idleTimes) doubt() time.Duration {
	if t.n == 0 {
		return 0
	}
	ages := t.sorted()
	return longest(ages[0])
}

// learn finds the shortest time with which enough others agree.
func (t *idleTimes) learn() {
	t.limit = 0
	ages := t.sorted()
	for i := 0; i+enoughCloses <= t.n; i++ {
		if ages[i+enoughCloses-1] <= longest(ages[i]) {
			t.limit = ages[i]
			return
		}
	}
}

// sorted returns the idle times of the closes, the shortest first.
func (t *idleTimes) sorted() (ages [mostCloses]time.Duration) {
	for i, c := range t.closes[:t.n] {
		ages[i] = c.age
	}
	slices.Sort(ages[:t.n])
	return ages
}

// keep is how long a connection may be idle and then still be used; 0 is not known. A
// tenth less than what was learned is for the request's way to the endpoint.
func (t *idleTimes) keep() time.Duration { return t.limit - t.limit/10 }

// near returns the idle time after which the endpoint has closed others, if this one is
// so close to it that the endpoint may have closed it, too. certain is true if the
// endpoint always does so.
func (t *idleTimes) near(age time.Duration) (close time.Duration, certain bool) {
	meets := func(limit time.Duration) bool { return age >= limit-limit/10 && age <= longest(limit) }
	if t.limit > 0 && meets(t.limit) {
		return t.limit, true
	}
	for _, c := range t.closes[:t.n] {
		if meets(c.age) {
			return c.age, false
		}
	}
	return 0, false
}
