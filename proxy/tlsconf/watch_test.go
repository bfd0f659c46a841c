package tlsconf_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// wait waits for a change to be told.
func wait(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(patience):
		t.Fatal("the change was not told")
	}
}

func TestWatcher(t *testing.T) {
	for name, poll := range map[string]time.Duration{"by signs": time.Hour, "by polls": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "conf")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			write(t, a, []byte("1"))
			w := tlsconf.NewWatcher(tlsconf.WatchOptions{Files: []string{a, b}, Settle: time.Millisecond, Poll: poll})
			if poll < time.Second {
				w.Deafen()
			}
			// What changes before the start is not lost.
			write(t, a, []byte("2"))
			changes := make(chan struct{})
			w.Start(func() { changes <- struct{}{} })
			wait(t, changes)
			write(t, b, []byte("1")) // a file that was not there
			wait(t, changes)
			if err := os.Remove(a); err != nil {
				t.Fatal(err)
			}
			wait(t, changes)
			write(t, a, []byte("2"))
			wait(t, changes)
			// What is not a change of content is none: the next one told is the
			// one after it.
			write(t, a, []byte("2"))
			if err := os.Chtimes(b, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
			write(t, b, []byte("2"))
			wait(t, changes)
			w.Stop()
			write(t, b, []byte("3"))
			select {
			case <-changes:
				t.Error("a change was told after Stop")
			default:
			}
			w.Stop()
		})
	}
}
