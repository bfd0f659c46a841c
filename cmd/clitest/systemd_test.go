package clitest

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// manager is the socket that systemd would have, and what came on it.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

// newManager opens the socket. Its path has to be short.
func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "hopscope")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &manager{t: t, path: filepath.Join(dir, "notify")}
	m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: m.path})
	must(t, err)
	t.Cleanup(func() { m.conn.Close() })
	return m
}

// start runs the program under the manager.
func (m *manager) start(environment []string, args ...string) *process {
	m.t.Helper()
	p := newProcess(m.t, args...)
	p.cmd.Stdout = &p.stdout
	p.cmd.WaitDelay = time.Second // what it starts again has the same outputs, and lives on
	p.cmd.Env = append(append(p.cmd.Env, "NOTIFY_SOCKET="+m.path), environment...)
	p.begin()
	return p
}

// next is the next message, its lines by their keys.
func (m *manager) next() map[string]string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(proxytest.Patience))
	buffer := make([]byte, 4096)
	n, err := m.conn.Read(buffer)
	must(m.t, err)
	message := map[string]string{}
	for line := range strings.SplitSeq(string(buffer[:n]), "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			m.t.Errorf("a line of no use: %q", line)
		}
		message[key] = value
	}
	return message
}

// says expects the next message to have a line.
func (m *manager) says(key, value string) map[string]string {
	m.t.Helper()
	got := m.next()
	if got[key] != value {
		m.t.Fatalf("it says %v, want %s=%s", got, key, value)
	}
	return got
}

// reloads has the process reload, and returns what it says of its state then.
func (m *manager) reloads(p *process) (status string) {
	m.t.Helper()
	before := uptime(m.t)
	p.signal(syscall.SIGHUP)
	at, err := strconv.ParseInt(m.says("RELOADING", "1")["MONOTONIC_USEC"], 10, 64)
	if err != nil || at < before {
		m.t.Errorf("MONOTONIC_USEC is %d, %v; the signal was sent after %d", at, err, before)
	}
	return m.says("READY", "1")["STATUS"]
}

// uptime is the time since the machine started, in microseconds: as CLOCK_MONOTONIC on a
// machine that never sleeps, give or take the hundredth that /proc/uptime cuts.
func uptime(t *testing.T) int64 {
	t.Helper()
	first, _, _ := strings.Cut(mustRead(t, "/proc/uptime"), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	must(t, err)
	return int64(seconds * 1e6)
}

// TestSystemd is the life of a unit: start, reload, a reload with a mistake, stop.
func TestSystemd(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	path := file(t, "hopscope.yaml", fileFor(serve(t, hello)))
	p := m.start(nil, "run", "-c", path)
	m.says("READY", "1")
	if resp, _ := get(t, p.admin()+"/ready"); resp.StatusCode != 200 {
		t.Errorf("it says that it is ready, and answers %s", resp.Status)
	}
	if status := m.reloads(p); status != "serving" {
		t.Errorf("after a reload: %q", status)
	}
	p.signal(syscall.SIGTERM)
	m.says("STOPPING", "1")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	flags := m.start(nil, proxyArgs(serve(t, hello))...) // it has no file to reload, and says that it is done
	m.says("READY", "1")
	if status := m.reloads(flags); !strings.Contains(status, "rejected") {
		t.Errorf("after a reload without a file: %q", status)
	}
}

// TestSystemdUpgrade has a new process take over on SIGUSR2: the old one says who is the main
// process, and does not say that the unit stops.
func TestSystemdUpgrade(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	socket := filepath.Join(t.TempDir(), "upgrade.sock")
	path := upgradable(t, serve(t, hello), socket, "off")
	p := m.start(nil, "run", "-c", path)
	m.says("READY", "1")
	for range 2 {
		admin := p.admin()
		p.signal(syscall.SIGUSR2)
		pid, err := strconv.Atoi(p.find(`msg="started the program again, to take over" because=SIGUSR2 pid=(\d+)`))
		must(t, err)
		next, err := os.FindProcess(pid)
		must(t, err)
		t.Cleanup(func() { next.Kill() })
		var said []map[string]string // by both, in any order
		for range 3 {
			said = append(said, m.next())
		}
		main := fmt.Sprint(pid)
		told := func(key, value string) int {
			n := 0
			for _, message := range said {
				if message[key] == value {
					n++
				}
			}
			return n
		}
		if told("MAINPID", main) != 2 || told("READY", "1") != 1 {
			t.Fatalf("the processes say %v, want twice MAINPID=%s, and READY=1", said, main)
		}
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		proxytest.Eventually(t, "the new process answers", func() bool {
			_, body, err := tryGet(newClient(t), "GET", admin+"/server_info")
			return err == nil && strings.Contains(body, `"pid": `+main)
		})
		must(t, next.Signal(syscall.SIGTERM))
		m.says("STOPPING", "1")
		proxytest.Eventually(t, "the new process has ended", func() bool { return next.Signal(syscall.Signal(0)) != nil || zombie(pid) })
		p = m.start(nil, "run", "-c", path)
		m.says("READY", "1")
	}
}

// zombie reports whether a process has ended, and nobody has waited for it.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err != nil || strings.HasPrefix(after, "Z")
}

// TestSystemdWatchdog wants signs of life, also while the process drains.
func TestSystemdWatchdog(t *testing.T) {
	t.Parallel()
	backend := newSlow(t)
	for _, of := range []string{"", "another process"} {
		m := newManager(t)
		environment := []string{"WATCHDOG_USEC=20000"}
		if of != "" {
			environment = append(environment, "WATCHDOG_PID=1")
		}
		p := m.start(environment, proxyArgs(backend.address)...)
		m.says("READY", "1")
		if of == "" {
			m.says("WATCHDOG", "1")
			m.says("WATCHDOG", "1")
		}
		p.signal(syscall.SIGTERM)
		proxytest.Eventually(t, "STOPPING=1", func() bool {
			got := m.next()
			if of != "" && got["WATCHDOG"] != "" {
				t.Error("a sign of life that nobody wants")
			}
			return got["STOPPING"] == "1"
		})
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// TestSocketActivation passes sockets as a socket unit does: the proxy serves on them, and
// wants no socket that it has no use for. They are the supervisor's: a client that connects
// between two processes waits for the second.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	must(t, err)
	defer socket.Close()
	activate := func(address string) *process {
		path := file(t, "hopscope.yaml", strings.Replace(fileFor(serve(t, hello)), `"127.0.0.1:0"`, strconv.Quote(address), 1))
		p := newProcess(t, "run", "-c", path)
		// The shell has the process id that the program will have.
		p.cmd.Args = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, p.cmd.Path, "run", "-c", path}
		p.cmd.Path = "/bin/sh"
		p.cmd.ExtraFiles = []*os.File{socket}
		p.begin()
		return p
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	for range 2 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), proxytest.Patience)
		must(t, err)
		fmt.Fprintf(c, "GET / HTTP/1.0\r\n\r\n")
		p := activate("localhost:" + port) // the same address, written in another way
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(answer), "hello") {
			t.Errorf("the client that was first: %q, %v", answer, err)
		}
		c.Close()
		if _, body := get(t, p.url()); body != "hello" {
			t.Errorf("another client: %q", body)
		}
		p.drained()
	}
	p := activate("127.0.0.1:0")
	if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), "no listener has this address") {
		t.Errorf("a socket of no use: exit code %d, %s", code, p.stderr.String())
	}
}

// TestReady asks a proxy that takes traffic, one that does not, and nobody.
func TestReady(t *testing.T) {
	t.Parallel()
	p := runProxy(t, serve(t, hello))
	p.url()
	admin := strings.TrimPrefix(p.admin(), "http://")
	proxytest.Eventually(t, "it is ready", func() bool {
		_, _, code := hopscope(t, "ready", "--admin", admin)
		return code == 0
	})
	if stdout, stderr, code := hopscope(t, "ready", "--admin", admin); stdout != "ready\n" || stderr != "" || code != 0 {
		t.Errorf("exit code %d: %q, %q", code, stdout, stderr)
	}
	p.drained()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--admin", admin}, 1, "connection refused"},
		{[]string{"--admin", "nonsense"}, 2, "host:port"},
		{[]string{"--timeout", "0s"}, 2, "--timeout"},
		{[]string{"--bad"}, 2, "unknown flag"},
		{[]string{"more"}, 2, "unexpected argument"},
		{[]string{"--token-file", "/nonexistent"}, 1, "/nonexistent"},
	} {
		_, stderr, code := hopscope(t, slices.Concat([]string{"ready"}, tt.args)...)
		if code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", tt.args, code, stderr, tt.code, tt.says)
		}
	}
	waits := runProxy(t, "consul:nobody", "--consul", "127.0.0.1:1")
	admin = strings.TrimPrefix(waits.admin(), "http://")
	if _, stderr, code := hopscope(t, "ready", "--admin", admin); code != 1 || !strings.Contains(stderr, "not ready: ") {
		t.Errorf("of a proxy that knows no endpoints: exit code %d, %q", code, stderr)
	}
}
