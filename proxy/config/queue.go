package config

import "time"

// Queue lets requests wait that max_requests or adaptive_concurrency do not let through at
// once. The most urgent is let through first, and among those the one that came first. If
// the queue is full, a request takes the place of the last of those that are less urgent.
type Queue struct {
	// Max is how many requests may wait.
	Max int `yaml:"max" default:"100" min:"1"`
	// MaxWait is how long a request waits at most. Then it is shed.
	MaxWait time.Duration `yaml:"max_wait" default:"1s" min:"1ms"`
	// PriorityHeader is the field of requests that says how urgent they are: an urgency from
	// 0, the most urgent, to 7, as a number or as in RFC 9218 (Priority: u=1). Requests
	// without it have 3. Without this key all are the same. A field whose name begins
	// with "x-envoy-" is heeded from trusted_callers only, any other from every client.
	PriorityHeader string `yaml:"priority_header" format:"field"`
}

// NewQueue returns a queue with every default in place.
func NewQueue() *Queue {
	q := withDefaults[Queue]()
	return &q
}
