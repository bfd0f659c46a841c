package live_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// backend is an endpoint that costs little, so that there is time left for a proxy
// under the race detector: it answers each request, which has no content, with its
// own address. It can be made slow, and made to fail.
type backend struct {
	address string
	slow    atomic.Int64 // nanoseconds before each answer
	failing atomic.Int64 // per cent of the requests that are answered with 500
	got     atomic.Int64 // requests
	failed  atomic.Int64 // those of them that were answered with 500

	socket  net.Listener
	mu      sync.Mutex
	conns   map[net.Conn]struct{} // nil when it has ended
	running sync.WaitGroup
}

func newBackend() (*backend, error) {
	socket, err := net.Listen("tcp", proxytest.OwnAddress())
	if err != nil {
		return nil, err
	}
	b := &backend{address: socket.Addr().String(), socket: socket, conns: map[net.Conn]struct{}{}}
	b.running.Go(b.accept)
	return b, nil
}

// startBackends starts endpoints within the test's own process.
func startBackends(t *testing.T, n int) []*backend {
	t.Helper()
	var all []*backend
	for range n {
		b, err := newBackend()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.close)
		all = append(all, b)
	}
	return all
}

func (b *backend) host() string { return b.socket.Addr().(*net.TCPAddr).IP.String() }

func (b *backend) port() int { return b.socket.Addr().(*net.TCPAddr).Port }

func (b *backend) accept() {
	for {
		c, err := b.socket.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		if b.conns == nil {
			c.Close()
		} else {
			b.conns[c] = struct{}{}
			b.running.Go(func() { b.serve(c) })
		}
		b.mu.Unlock()
	}
}

func (b *backend) close() {
	b.socket.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close()
	}
	b.conns = nil
	b.mu.Unlock()
	b.running.Wait()
}

func (b *backend) serve(c net.Conn) {
	defer func() {
		c.Close()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	good := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b.address), b.address)
	bad := []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
	buffer, n := make([]byte, 4096), 0
	for {
		more, err := c.Read(buffer[n:])
		if err != nil {
			return
		}
		if n += more; !bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
			continue
		}
		n = 0
		b.got.Add(1)
		if d := b.slow.Load(); d > 0 {
			time.Sleep(time.Duration(d)) // that is what a slow endpoint does
		}
		answer := good
		if p := b.failing.Load(); p > 0 && rand.Int64N(100) < p {
			b.failed.Add(1)
			answer = bad
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// endpointVariable makes a process of this test an endpoint; it says how slow.
const endpointVariable = "HOPSCOPE_LIVE_ENDPOINT"

// TestLiveEndpoint is the endpoint that startProcess runs, and no test. It ends with
// its standard input, so that it does not outlive the test.
func TestLiveEndpoint(t *testing.T) {
	text := os.Getenv(endpointVariable)
	if text == "" {
		return
	}
	slow, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBackend()
	if err != nil {
		t.Fatal(err)
	}
	b.slow.Store(int64(slow))
	fmt.Println(b.address)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// endpointProcess is an endpoint that is a process of its own, which can be killed.
type endpointProcess struct {
	address string
	cmd     *exec.Cmd
	once    sync.Once
}

func startProcess(t *testing.T, slow time.Duration) *endpointProcess {
	t.Helper()
	p := &endpointProcess{cmd: exec.Command(os.Args[0], "-test.run=^TestLiveEndpoint$")}
	p.cmd.Env = append(os.Environ(), endpointVariable+"="+slow.String())
	p.cmd.Stderr = os.Stderr
	_, err := p.cmd.StdinPipe() // closed when this process ends
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the endpoint's process does not say its address: %v", err)
	}
	p.address = strings.TrimSpace(line)
	return p
}

// kill is kill -9. It returns when the process is gone, and its sockets with it.
func (p *endpointProcess) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}
