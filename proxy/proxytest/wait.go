package proxytest

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Patience is how long a test waits for what must happen. Nothing is measured
// by it: it ends tests that hang.
const Patience = time.Minute

// Deadline is the deadline of what begins now.
func Deadline() time.Time { return time.Now().Add(Patience) }

// Eventually polls until done reports true.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := Deadline(); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come about", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// AwaitClosed waits until a channel is closed, or something comes of it.
func AwaitClosed(t testing.TB, what string, happens <-chan struct{}) {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case <-happens:
	case <-limit.C:
		t.Fatalf("%s: did not come about", what)
	}
}

// WithinPatience is the time that a test's requests have.
func WithinPatience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// NoLeaks checks, when all else of the test has ended, that no goroutine is
// left. It is called first.
func NoLeaks(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before)
	})
}

// Short is a timeout that a test waits for.
const Short = 100 * time.Millisecond

// Soon is a timeout that is to run out, but not before a peer did what it does
// without waiting.
const Soon = 300 * time.Millisecond

// OpenFiles is how many files the process has open.
func OpenFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	return len(entries)
}

// FreeAddress is one that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return FreeAddresses(t, 1)[0]
}

// FreeAddresses are addresses that nobody listens on. Their ports are below those that
// Linux gives to whoever wants any (32768 and above): else another test would soon have
// one of them.
func FreeAddresses(t testing.TB, n int) (all []string) {
	t.Helper()
	for tries := 0; len(all) < n; tries++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			all = append(all, l.Addr().String())
		} else if tries > 1000 {
			t.Fatal(err)
		}
	}
	return all
}
