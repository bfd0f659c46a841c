package discovery

import "time"

// Known is what a source said when it last answered, kept for whoever asks the same
// source next: after a change of settings, or in another process.
type Known struct {
	Endpoints []Endpoint
	// Missing is true where there was no such service.
	Missing bool
	// At is when that was last known to be so.
	At time.Time
}
