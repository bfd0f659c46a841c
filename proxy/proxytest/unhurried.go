package proxytest

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// Unhurried runs a test whose peers have to be quicker than a timeout of the proxy, and
// which counts its times in units. On a busy machine any peer may be too slow: then the
// test runs again with four times the unit, up to 64 times. So it fails only if the proxy
// is wrong, which it is whatever the unit.
func Unhurried(t *testing.T, unit time.Duration, test func(t testing.TB, unit time.Duration)) {
	t.Helper()
	if failures := unhurried(t, unit, test); failures != "" {
		t.Error(failures)
	}
}

// unhurried returns what failed in the last trial.
func unhurried(t testing.TB, unit time.Duration, test func(t testing.TB, unit time.Duration)) (failures string) {
	for scale := time.Duration(1); scale <= 64; scale *= 4 {
		trial := &trial{TB: t}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer trial.cleanUp()
			defer func() {
				if p := recover(); p != nil { // it took for granted what came too late
					trial.fail(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
				}
			}()
			test(trial, scale*unit)
		}()
		<-ended
		if failures = trial.said(); failures == "" {
			return ""
		}
		t.Logf("with units of %v: %s", scale*unit, failures)
	}
	return failures
}

// trial is a test that may fail and be run again.
type trial struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (x *trial) said() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.failures, "; ")
}

func (x *trial) fail(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failures = append(x.failures, strings.TrimSpace(what))
}

// cleanUp runs what was passed to Cleanup, the last first, also where one of them ends
// the goroutine.
func (x *trial) cleanUp() {
	x.mu.Lock()
	cleanups := x.cleanups
	x.mu.Unlock()
	for _, f := range cleanups {
		defer f()
	}
}

func (x *trial) Cleanup(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cleanups = append(x.cleanups, f)
}

func (x *trial) Failed() bool                      { return x.said() != "" }
func (x *trial) Fail()                             { x.fail("failed") }
func (x *trial) Error(args ...any)                 { x.fail(fmt.Sprintln(args...)) }
func (x *trial) Errorf(format string, args ...any) { x.fail(fmt.Sprintf(format, args...)) }

func (x *trial) FailNow() {
	x.fail("failed")
	runtime.Goexit()
}

func (x *trial) Fatal(args ...any) {
	x.Error(args...)
	runtime.Goexit()
}

func (x *trial) Fatalf(format string, args ...any) {
	x.Errorf(format, args...)
	runtime.Goexit()
}
