package backends

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 90 * time.Second // a JVM on a busy machine needs many
	askEvery   = 20 * time.Millisecond
	askLimit   = 2 * time.Second // for one question
	portTries  = 5
)

// Process is a running server. All its methods may be called at any time.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	exited chan struct{} // closed when the server has ended and was waited for
	kill   sync.Once
}

// PID is the server's process id, which is also that of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is the end of what the server printed so far on its two outputs.
func (p *Process) Output() string { return p.output.String() }

// Kill ends the server and all that it started, at once, and returns when it is gone:
// for tests of what happens when a server dies. The end of a test does it unasked.
func (p *Process) Kill() {
	p.kill.Do(func() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) })
	<-p.exited
}

// command is how to run a server once.
type command struct {
	path    string
	args    []string
	env     []string                    // added to the test's own
	listens []string                    // the addresses that are to be the server's
	ready   func(context.Context) error // asks the server; nil when it answers as it should
}

// Spawn runs a program that has no readiness of its own, as the leader of a process group
// that ends with this process. What c does not send elsewhere is in its Output.
func Spawn(name string, c *exec.Cmd) (*Process, error) {
	p := &Process{name: name, cmd: c, output: &tail{}, exited: make(chan struct{})}
	if c.Stdout == nil {
		c.Stdout = p.output
	}
	if c.Stderr == nil {
		c.Stderr = p.output
	}
	c.SysProcAttr = processGroup()
	c.WaitDelay = 5 * time.Second // should a child that left the group hold the outputs open
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = c.Wait() // what ended it is in cmd.ProcessState
		close(p.exited)
	}()
	return p, nil
}

// Exited is closed when the server has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// start runs a server until the test ends, and returns when it is ready. The plan is
// called before every try, because each needs fresh ports.
func start(tb testing.TB, name string, plan func() (command, error)) *Process {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	p, err := run(ctx, name, plan)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("%s's last output:\n%s", name, p.Output())
		}
	})
	return p
}

// launch is start without a test: the server runs until Kill.
func launch(ctx context.Context, name string, plan func(path string) (command, error)) (*Process, error) {
	path, err := Path(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return run(ctx, name, func() (command, error) { return plan(path) })
}

// run tries again, on the fresh ports of another plan, as long as somebody else took a
// port between the moment it was found free and the moment the server bound it.
func run(ctx context.Context, name string, plan func() (command, error)) (*Process, error) {
	for try := 1; ; try++ {
		c, err := plan()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p, err := runOnce(ctx, name, c)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, errPortTaken) || try == portTries {
			return nil, err
		}
	}
}

var errPortTaken = errors.New("another process took its port")

func runOnce(ctx context.Context, name string, c command) (*Process, error) {
	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(cmd.Environ(), c.env...)
	p, err := Spawn(name, cmd)
	if err != nil {
		return nil, err
	}
	if err := p.awaitReady(ctx, c); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s: %w; its last output:\n%s", name, err, p.Output())
	}
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, c command) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		ask, cancel := context.WithTimeout(ctx, askLimit)
		err := c.ready(ask)
		cancel()
		if err == nil {
			err = listens(p.PID(), c.listens)
		}
		select {
		case <-p.exited:
			if strings.Contains(strings.ToLower(p.Output()), "address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("ended before it was ready (%v)", p.cmd.ProcessState)
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		}
	}
}

// freeAddresses returns n different loopback addresses, host:port, that nobody
// listened on a moment ago.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all stay open until all are chosen, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// tail is a writer that keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if excess := len(t.text) - tailBytes; excess > 0 {
		t.text = append(t.text[:0], t.text[excess:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
