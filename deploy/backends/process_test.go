package backends

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs a script in place of a server.
func shell(script string, ready func(context.Context) error) func() (command, error) {
	return func() (command, error) {
		return command{path: "sh", args: []string{"-c", script}, ready: ready}, nil
	}
}

func TestStartTakesFreshPortsWhenItLostOne(t *testing.T) {
	haproxy := Require(t, "haproxy")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	plans := 0
	p := start(t, "haproxy", func() (command, error) {
		plans++
		a := []string{taken.Addr().String()}
		if plans > 1 {
			var err error
			if a, err = freeAddresses(1); err != nil {
				return command{}, err
			}
		}
		config := "defaults\n mode http\n timeout client 1s\nfrontend f\n bind " + a[0] + "\n"
		// The taken address accepts connections too: that alone must not count as ready.
		c := command{path: haproxy, args: []string{"-db", "-f", file}, listens: a, ready: accepts(a)}
		return c, os.WriteFile(file, []byte(config), 0o644)
	})
	if plans != 2 {
		t.Errorf("%d plans were made, want 2; the last output:\n%s", plans, p.Output())
	}
}

func TestStartFailures(t *testing.T) {
	never := func(context.Context) error { return context.Canceled }
	for _, tt := range []struct {
		name  string
		limit time.Duration
		plan  func() (command, error)
		want  []string
	}{
		{
			name: "ends at once", limit: time.Minute,
			plan: shell("echo no license; exit 3", never),
			want: []string{"ends at once: ended before it was ready (exit status 3)", "no license"},
		},
		{
			name: "never ready", limit: 200 * time.Millisecond,
			plan: shell("echo thinking; sleep 600", never),
			want: []string{"not ready in time: context canceled", "thinking"},
		},
		{
			name: "always loses its port", limit: time.Minute,
			plan: shell("echo bind: Address already in use; exit 1", never),
			want: []string{"another process took its port"},
		},
		{
			name: "no such program", limit: time.Minute,
			plan: func() (command, error) { return command{path: "/nonexistent"}, nil },
			want: []string{"no such program: ", "/nonexistent"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), tt.limit)
			defer cancel()
			_, err := run(ctx, tt.name, tt.plan)
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestKillEndsTheWholeGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	if err := fifo.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}

	// The shell's child holds the fifo open too, so its reader sees the end of it only
	// when both are gone.
	script := "exec 3>" + path + "; sleep 600 & echo up >&3; wait"
	p, err := run(t.Context(), "shell", shell(script, func(context.Context) error {
		_, err := io.ReadFull(fifo, make([]byte, len("up\n")))
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Kill()
	if n, err := fifo.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v: want the end of the file, for nobody is left to write it", n, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	for range 3 {
		if _, err := out.Write([]byte(strings.Repeat("x", tailBytes))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); len(got) != tailBytes || !strings.HasSuffix(got, "xend") {
		t.Errorf("%d bytes ending in %q, want %d ending in xend", len(got), got[len(got)-4:], tailBytes)
	}
}
