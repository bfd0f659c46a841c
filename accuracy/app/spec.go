package app

import "time"

// Spec is what an application is and does.
type Spec struct {
	Name string
	// Host is the loopback address that it listens on.
	Host string
	// GRPC makes it a gRPC server; otherwise it speaks HTTP/1.
	GRPC bool
	// Out is the address of the sidecar's outbound listener, which takes its calls.
	Out string
	// Calls are what it calls for each request.
	Calls []Call
	// Concurrent makes it begin all calls at once; otherwise one follows the other, and
	// the first failure that counts is the last call.
	Concurrent bool
	// DropHeaders makes it call others without the trace headers of the request.
	DropHeaders bool
	// FailStatus is the HTTP status that it answers when a call failed.
	FailStatus int
	// Work is how long it takes beside its calls.
	Work time.Duration
}

// Call is a call of another service for each request.
type Call struct {
	To   string // the host that the sidecar knows it by
	GRPC bool
	// Times is how often it calls, one call after the other.
	Times int
	// OnFailure is what it does if a call failed.
	OnFailure Reaction
	// CacheFor is the number of requests that one answer is kept for; 0 is no cache.
	CacheFor int
	// ReadSlowly is how long it takes to read each answer.
	ReadSlowly time.Duration
}

// Reaction is what an application does if a call failed.
type Reaction string

// The reactions.
const (
	Fail    Reaction = "fail"    // answer with an error
	Swallow Reaction = "swallow" // go on without the answer
	Retry   Reaction = "retry"   // call once more, then answer with an error
	Late    Reaction = "late"    // answer with an error after a while
)

// lateness is the "while" of [Late].
const lateness = 150 * time.Millisecond

// Trouble is how an application misbehaves.
type Trouble string

// The troubles. Those that end in a connection's death are for HTTP alone.
const (
	NoTrouble   Trouble = ""
	Error       Trouble = "error"        // answer with an error of its own
	ErrorHalf   Trouble = "error_half"   // the same for every second request
	Hang        Trouble = "hang"         // never answer
	Slow        Trouble = "slow"         // answer late, but well
	Flaky       Trouble = "flaky"        // fail the first attempt of each trace
	ResetBefore Trouble = "reset_before" // reset the connection instead of an answer
	ResetAmid   Trouble = "reset_amid"   // reset it within the answer's head
	ResetAfter  Trouble = "reset_after"  // reset it after the head
	Cut         Trouble = "cut"          // close it before the content is whole
	Garbage     Trouble = "garbage"      // speak another protocol
	HugeHead    Trouble = "huge_head"    // answer with too large a head
	CloseReused Trouble = "close_reused" // close a connection when its second request comes
	Large       Trouble = "large"        // answer with much content
	Dawdle      Trouble = "dawdle"       // call others only when hardly any of the time is left
	Steady      Trouble = "steady"       // answer well, after a time that is short, but not that short
)

// slowness is how late a [Slow] answer is, and steadiness how long a [Steady] one takes.
const (
	slowness   = time.Second
	steadiness = 300 * time.Millisecond
)
