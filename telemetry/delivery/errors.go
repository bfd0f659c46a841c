package delivery

import (
	"fmt"
	"time"
)

// RejectedError is what an exporter returns when the collector took the batch but refused
// some of it. That must not be sent again.
type RejectedError struct {
	Items   int    // how many spans or records were refused; 0 where the collector only warned
	Message string // what the collector said
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the collector refused %d of what it was sent: %s", e.Items, e.Message)
}

// ThrottledError is what an exporter returns when the collector asks to wait for longer
// than the time of one export. The batch is sent again after that.
type ThrottledError struct {
	After time.Duration // from now on
	Err   error         // what the collector said
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("the collector asks to wait %v: %v", e.After.Round(time.Millisecond), e.Err)
}

func (e *ThrottledError) Unwrap() error { return e.Err }
