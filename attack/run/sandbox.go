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
	"strings"
	"syscall"
	"time"
)

// limits are those of one process; 0 is none.
type limits struct {
	memory int64 // bytes, of the cgroup
	files  int   // descriptors
}

// sandbox is a running process within limits.
type sandbox struct {
	name   string
	cmd    *exec.Cmd
	group  string // its cgroup's directory, "" for none
	output bytes.Buffer
	ended  chan struct{}
	err    error // how it ended, once that is closed
}

// The places where a cgroup that limits memory may be made: version 2, and 1.
var memoryRoots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"}

// newGroup makes a cgroup that may take so much memory. An error says why that can't be.
func newGroup(bytes int64) (string, error) {
	var why error
	for _, root := range memoryRoots {
		dir, err := os.MkdirTemp(root, "hopscope-attack-")
		if err != nil {
			why = err
			continue
		}
		limit := strconv.FormatInt(bytes, 10)
		if why = set(dir, "memory.max", limit); why == nil {
			_ = set(dir, "memory.swap.max", "0")
			return dir, nil
		}
		if why = set(dir, "memory.limit_in_bytes", limit); why == nil {
			_ = set(dir, "memory.memsw.limit_in_bytes", limit)
			return dir, nil
		}
		os.Remove(dir)
	}
	return "", fmt.Errorf("no memory cgroup can be made here: %w", why)
}

// set writes to a file of a cgroup, which is there or can't be set.
func set(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// start runs argv within limits.
func start(argv []string, l limits) (*sandbox, error) {
	s := &sandbox{name: filepath.Base(argv[0]), ended: make(chan struct{})}
	var script strings.Builder
	if l.memory > 0 {
		var err error
		if s.group, err = newGroup(l.memory); err != nil {
			return nil, err
		}
		fmt.Fprintf(&script, "echo $$ >%s/cgroup.procs && ", s.group)
	}
	if l.files > 0 {
		fmt.Fprintf(&script, "ulimit -n %d && ", l.files)
	}
	script.WriteString(`exec "$@"`)
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", script.String(), "sh"}, argv...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.remove()
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// await returns when something listens at each address.
func (s *sandbox) await(ctx context.Context, addresses ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, address := range addresses {
		for {
			c, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil {
				c.Close()
				break
			}
			select {
			case <-s.ended:
				return fmt.Errorf("%s ended at once: %v\n%s", s.name, s.err, s.output.Bytes())
			case <-ctx.Done():
				return fmt.Errorf("%s does not listen on %s: %w", s.name, address, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// lives reports whether the process has not ended.
func (s *sandbox) lives() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// peak is the most memory that the process took, in bytes: of its cgroup, which counts
// what the kernel holds for its sockets too, or else its own.
func (s *sandbox) peak() int64 {
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if text, err := os.ReadFile(filepath.Join(s.group, name)); err == nil && s.group != "" {
			n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			return n
		}
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// terminate asks the process to end, and waits so long for it.
func (s *sandbox) terminate(patience time.Duration) error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("it goes on %s after SIGTERM", patience)
	}
}

// stop ends the process, and all that it started.
func (s *sandbox) stop() {
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
	s.remove()
}

func (s *sandbox) remove() {
	for end := time.Now().Add(5 * time.Second); s.group != "" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := os.Remove(s.group); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
	}
}
