package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end by itself after SIGTERM.
const stopTimeout = 10 * time.Second

// unpinned stands for "any core".
const unpinned = -1

// process is a running child, leader of a process group of its own, so that
// the group is what is measured and what is ended.
type process struct {
	name   string
	cmd    *exec.Cmd
	output string // file that holds its stdout and stderr
	done   chan struct{}
	err    error // how it ended; valid once done is closed
}

// pinned prefixes argv so that it runs on one core.
func pinned(core int, argv []string) []string {
	if core == unpinned {
		return argv
	}
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
}

// newCommand is exec.Command in a process group of its own, on one core.
func newCommand(core int, argv, env []string) *exec.Cmd {
	argv = pinned(core, argv)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start runs argv on core, its output going to dir/NAME.out.
func start(name, dir string, core int, argv, env []string) (*process, error) {
	p := &process{name: name, output: filepath.Join(dir, name+".out"), done: make(chan struct{})}
	// Appending, because a variant that logs to stdout has its log emptied.
	out, err := os.OpenFile(p.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = newCommand(core, argv, env)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// pid is the process id, and the id of its group.
func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and its group, and waits until it is gone.
func (p *process) stop() {
	// The group is signalled even when its leader is gone: a worker may be left.
	_ = syscall.Kill(-p.pid(), syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	<-p.done
}

// failure wraps err with the last lines that the process wrote.
func (p *process) failure(err error) error {
	select {
	case <-p.done:
		err = fmt.Errorf("%w (%s has ended: %v)", err, p.name, p.err)
	default:
	}
	text, readErr := os.ReadFile(p.output)
	if readErr != nil || len(bytes.TrimSpace(text)) == 0 {
		return err
	}
	return fmt.Errorf("%w\n--- %s wrote:\n%s", err, p.name, lastLines(text, 15))
}

// lastLines returns at most the last n lines of text.
func lastLines(text []byte, n int) []byte {
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-n):], []byte("\n"))
}

// awaitListen waits until addr accepts connections.
func (p *process) awaitListen(ctx context.Context, addr string) error {
	return p.poll(ctx, "does not listen on "+addr, func() (bool, error) {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
}

// poll asks a process that has just started until it is ready. Otherwise says, after its
// name, what it is if it never gets there.
func (p *process) poll(ctx context.Context, otherwise string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		done, err := ready()
		if done {
			return err
		}
		select {
		case <-p.done:
			return p.failure(fmt.Errorf("%s did not start", p.name))
		case <-ctx.Done():
			return p.failure(fmt.Errorf("%s %s: %w", p.name, otherwise, errors.Join(err, ctx.Err())))
		case <-poll.C:
		}
	}
}

// freeAddresses returns n loopback addresses that nobody listens on now. They
// are held open together, so they differ.
func freeAddresses(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// findProgram returns the path of an installed program or says how to get it.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	// Debian keeps servers where an ordinary user's PATH does not look.
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, sbinErr := exec.LookPath(filepath.Join(dir, name)); sbinErr == nil {
			return path, nil
		}
	}
	if errors.Is(err, exec.ErrNotFound) {
		pack := name
		if name == "h2load" {
			pack = "nghttp2-client"
		}
		return "", fmt.Errorf("%s is not installed: install it (apt-get install %s), or leave out with -only what needs it", name, pack)
	}
	return "", err
}
