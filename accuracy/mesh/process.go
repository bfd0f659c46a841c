package mesh

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a child process, which ends with this one.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	output tail
	exited chan struct{}
	kill   sync.Once
}

// start runs a program. in is written to its standard input, which stays open.
func start(path string, args, env []string, in []byte, stdout io.Writer) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), exited: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stderr, p.cmd.Stdout = &p.output, &p.output
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	p.cmd.SysProcAttr = processGroup()
	p.cmd.WaitDelay = 5 * time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	go func() {
		_ = p.cmd.Wait() // what ended it is in cmd.ProcessState
		close(p.exited)
	}()
	if len(in) > 0 {
		if _, err := stdin.Write(in); err != nil {
			p.Kill()
			return nil, fmt.Errorf("%s: %w\n%s", path, err, p.output.String())
		}
	}
	return p, nil
}

// Kill ends the process and all that it started, at once, and returns when it is gone.
func (p *Process) Kill() {
	p.kill.Do(func() {
		p.stdin.Close()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	})
	<-p.exited
}

// Stop stops the process where it is: the kernel still takes connections for it.
func (p *Process) Stop() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 8 << 10

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
