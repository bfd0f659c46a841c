package clitest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// clients send requests all the time, none of which may fail.
type clients struct {
	t    *testing.T
	stop chan struct{}
	wg   sync.WaitGroup
	done atomic.Int64
}

// each repeats request until stop is closed.
func (c *clients) each(name string, request func() error) {
	c.wg.Go(func() {
		for {
			select {
			case <-c.stop:
				return
			default:
			}
			if err := request(); err != nil {
				c.t.Errorf("%s: %v", name, err)
				return
			}
			c.done.Add(1)
		}
	})
}

// http1 uses a connection until a response says Connection: close; if once is set, for one
// request. It retries nothing: a connection that breaks during a request is a failure.
func (c *clients) http1(address string, once bool) {
	request, name := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1, kept alive"
	if once {
		request, name = strings.Replace(request, "Host: a", "Host: a\r\nConnection: close", 1), "HTTP/1.1, once"
	}
	var conn net.Conn
	var r *bufio.Reader
	c.each(name, func() (err error) {
		if conn == nil {
			if conn, err = net.DialTimeout("tcp", address, proxytest.Patience); err != nil {
				return err
			}
			opened := conn
			c.t.Cleanup(func() { opened.Close() })
			r = bufio.NewReader(conn)
		}
		conn.SetDeadline(time.Now().Add(proxytest.Patience))
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != "hello" {
			return fmt.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
		}
		if resp.Close {
			err = conn.Close()
			conn = nil
		}
		return err
	})
}

// http2 does the same over HTTP/2. net/http retries a request only if GOAWAY came before it
// was sent.
func (c *clients) http2(address string) {
	transport := plainHTTP2(c.t)
	c.each("HTTP/2", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", strings.NewReader("body"))
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(body) != "hello" {
			return fmt.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
		}
		return nil
	})
}

func plainHTTP2(t *testing.T) *http.Transport {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (c *clients) after(more int64) {
	c.t.Helper()
	end := c.done.Load() + more
	proxytest.Eventually(c.t, "further requests", func() bool { return c.done.Load() >= end || c.t.Failed() })
}

// upgradable writes the configuration of a proxy that another can take over from.
func upgradable(t *testing.T, endpoint, socket, log string) string {
	return file(t, "hopscope.yaml", fmt.Sprintf("upgrade_socket: %q\ntelemetry: {access_log: {path: %q}}\n%s", socket, log, fileFor(endpoint)))
}

// TestUpgrade upgrades twice in a row, while clients of every kind send requests. None of
// the requests fails, each is logged, and one that was in flight is finished.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	backend := newSlow(t)
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.Redirect(w, r, "http://"+backend.address, http.StatusFound)
			return
		}
		hello(w, r)
	})
	dir := t.TempDir()
	socket, log := filepath.Join(dir, "upgrade.sock"), filepath.Join(dir, "access.log")
	content := strings.Replace(fileFor(endpoint), "routes: [", "routes: [{match: {path: /slow}, cluster: slow, timeout: 0s}, ", 1)
	content = strings.Replace(content, "clusters: {", fmt.Sprintf("clusters: {slow: {endpoints: [%s]}, ", backend.address), 1)
	path := file(t, "hopscope.yaml", fmt.Sprintf("upgrade_socket: %q\ntelemetry: {access_log: {path: %q}}\n%s", socket, log, content))
	p := start(t, "run", "-c", path)
	address, admin := p.address("ingress"), p.admin()
	proxytest.Eventually(t, "the upgrade socket", func() bool {
		info, err := os.Stat(socket)
		return err == nil && info.Mode().Perm() == 0o600
	})
	first := connect(t, address)
	first.send("/slow")
	<-backend.arrived
	load := &clients{t: t, stop: make(chan struct{})}
	for range 2 {
		load.http1(address, false)
		load.http1(address, true)
		load.http2(address)
	}
	load.after(50)
	oldest := p
	for range 2 {
		next := start(t, "run", "-c", path, "--upgrade")
		if got := next.address("ingress"); got != address {
			t.Errorf("it listens on %s, not on %s", got, address)
		}
		if got := next.admin(); got != admin {
			t.Errorf("its admin API is at %s, not at %s", got, admin)
		}
		next.find(fmt.Sprintf(`msg="took over" pid=(%d) `, p.cmd.Process.Pid))
		p.find(fmt.Sprintf(`msg=draining because="(process %d \(%s\) took over)"`, next.cmd.Process.Pid, testVersion))
		load.after(50)
		if p != oldest {
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d of the one that was taken over from", code)
			}
		}
		p = next
	}
	if _, body := get(t, admin+"/server_info"); !strings.Contains(body, fmt.Sprintf(`"pid": %d`, p.cmd.Process.Pid)) {
		t.Errorf("/server_info: %s", body)
	}
	close(load.stop)
	load.wg.Wait()
	if !oldest.running() {
		t.Error("it ended before its last request did")
	}
	close(backend.release)
	if resp, body := first.receive(); body != "at last" || !resp.Close {
		t.Errorf("what was in flight: %q, close %t", body, resp.Close)
	}
	first.Close()
	if code := oldest.exit(); code != 0 {
		t.Errorf("exit code %d of the first", code)
	}
	p.drained()
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the upgrade socket is left: %v", err)
	}
	n, all := load.done.Load(), paths(t, log)
	t.Logf("%d requests", n)
	if n < 150 || int64(len(all)) != n+1 {
		t.Errorf("%d lines of the access log for %d requests and the slow one", len(all), n)
	}
}

// TestUpgradeFails in every way: the old process goes on.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "upgrade.sock")
	one := named(t, "one")
	path := upgradable(t, one, socket, "off")
	p := start(t, "run", "-c", path)
	url, admin := p.url(), p.admin()
	client := newClient(t)
	serves := func() {
		t.Helper()
		answered(t, client, url, "one")
		if resp, _ := get(t, admin+"/ready"); resp.StatusCode != 200 || !p.running() {
			t.Error("the process that runs does not go on")
		}
	}
	serves()

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	bad := file(t, "hopscope.yaml", strings.Replace(mustRead(t, path), "listeners: [",
		fmt.Sprintf("listeners: [{name: second, address: %q, routes: [{cluster: web}]}, ", taken.Addr()), 1))
	_, stderr, code := hopscope(t, "run", "-c", bad, "--upgrade")
	if code != 1 || !strings.Contains(stderr, "already in use") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	p.find(`level=WARN msg="(nobody took over: this process goes on)" error="process \d+ gave up before it was ready`)
	serves()

	// One that dies after it got the sockets, and another that comes meanwhile.
	dying, err := handover.Take(t.Context(), socket, "v0")
	must(t, err)
	if len(dying.Sockets) != 2 {
		t.Errorf("%d sockets were offered, want the listener's and the admin API's", len(dying.Sockets))
	}
	if _, err := handover.Take(t.Context(), socket, "v0"); err == nil || !strings.Contains(err.Error(), "taking over already") {
		t.Errorf("two at once: %v", err)
	}
	serves()
	dying.Close()
	p.find(fmt.Sprintf(`level=WARN msg="(nobody took over: this process goes on)" error="process %d gave up before it was ready`, os.Getpid()))
	serves()

	// And then one that succeeds.
	client.CloseIdleConnections()
	next := start(t, "run", "-c", path, "--upgrade")
	next.find(`msg="(took over)"`)
	answered(t, newClient(t), url, "one")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	next.drained()
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

// TestUpgradeChanges upgrades to a configuration without one of the listeners.
func TestUpgradeChanges(t *testing.T) {
	t.Parallel()
	socket := fmt.Sprintf("@hopscope-test-%d", os.Getpid())
	one, two := named(t, "one"), named(t, "two")
	old := strings.Replace(mustRead(t, upgradable(t, one, socket, "off")), "listeners: [",
		`listeners: [{name: gone, address: "127.0.0.1:0", routes: [{cluster: web}]}, `, 1)
	path := file(t, "hopscope.yaml", old)
	p := start(t, "run", "-c", path)
	url, gone := p.url(), p.address("gone")
	p.admin()
	replace(t, path, mustRead(t, upgradable(t, two, socket, "off"))) // p may reload it, too
	next := start(t, "run", "-c", path, "--upgrade")
	next.find(`msg="(took over)"`)
	answered(t, newClient(t), url, "two")
	refused(t, gone)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	next.drained()
}

// TestUpgradeFromNobody: without a process to take over from, the error says what to do.
func TestUpgradeFromNobody(t *testing.T) {
	t.Parallel()
	path := upgradable(t, "127.0.0.1:1", "@hopscope-test-nobody", "off")
	_, stderr, code := hopscope(t, "run", "-c", path, "--upgrade")
	if code != 1 || !strings.Contains(stderr, "no hopscope answers at @hopscope-test-nobody: if none is running, start without --upgrade") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	_, stderr, code = hopscope(t, proxyArgs("127.0.0.1:1", "--upgrade")...)
	if code != 1 || !strings.Contains(stderr, "set upgrade_socket") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestUpgradeSocketTaken: the proxy does not start without the upgrade_socket that its
// configuration names. A socket that a killed process left is replaced.
func TestUpgradeSocketTaken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "upgrade.sock")
	must(t, os.WriteFile(path, nil, 0o600))
	_, stderr, code := hopscope(t, "run", "-c", upgradable(t, "127.0.0.1:1", path, "off"))
	if code != 1 || !strings.Contains(stderr, "upgrade_socket: "+path+": it exists and is not a socket") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	must(t, os.Remove(path))
	p := start(t, "run", "-c", upgradable(t, "127.0.0.1:1", path, "off"))
	p.admin()
	proxytest.Eventually(t, "the socket", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	p.signal(syscall.SIGKILL)
	p.exit()
	start(t, "run", "-c", upgradable(t, "127.0.0.1:1", path, "off")).drainedOnceUp()
}

// drainedOnceUp waits until a proxy runs, and ends it.
func (p *process) drainedOnceUp() {
	p.t.Helper()
	p.admin()
	p.drained()
}

// TestUpgradeToOtherAddresses upgrades to configurations with other addresses on the same
// ports: 0.0.0.0 for 127.0.0.1, then localhost, then none. No client is refused or loses a
// request.
func TestUpgradeToOtherAddresses(t *testing.T) {
	t.Parallel()
	socket := fmt.Sprintf("@hopscope-test-addresses-%d", os.Getpid())
	base, port, adminPort := mustRead(t, upgradable(t, serve(t, hello), socket, "off")), freePort(t), freePort(t)
	at := func(host string) string {
		wide := strings.Replace(base, "admin: {address: 127.0.0.1:0", "admin: {insecure: true, address: "+host+":"+adminPort, 1)
		return strings.Replace(wide, "127.0.0.1:0", host+":"+port, 1)
	}
	p := start(t, "run", "-c", file(t, "hopscope.yaml", at("127.0.0.1")))
	address, admin := p.address("ingress"), strings.TrimPrefix(p.admin(), "http://")
	load := &clients{t: t, stop: make(chan struct{})}
	load.http1(address, false)
	for range 2 {
		load.http1(address, true)
	}
	load.http2(address)
	load.each("the admin API", func() error { // a response may be cut as its process ends, but nobody is refused
		c, err := net.DialTimeout("tcp", admin, proxytest.Patience)
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(proxytest.Patience))
		_, _ = io.WriteString(c, "GET /ready HTTP/1.1\r\nHost: "+admin+"\r\nConnection: close\r\n\r\n")
		_, _ = http.ReadResponse(bufio.NewReader(c), nil)
		return c.Close()
	})
	load.after(50)
	for _, host := range []string{"0.0.0.0", "localhost", ""} {
		next := start(t, "run", "-c", file(t, "hopscope.yaml", at(host)), "--upgrade")
		next.find(`msg="(took over)"`)
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		load.after(50)
		if resp, _ := get(t, "http://"+admin+"/ready"); resp.StatusCode != 200 {
			t.Errorf("the admin API says %s", resp.Status)
		}
		p = next
	}
	close(load.stop)
	load.wg.Wait()
	p.drained()
}

// freePort returns a port that no address of this machine uses. One that the kernel chooses
// for 127.0.0.1 may be in use at another address, and could not be had for all of them.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// TestUpgradeTooLate: the old process does not wait for ever. A new one that is too late
// ends, or else both would serve.
func TestUpgradeTooLate(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "upgrade.sock")
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listening.Close()
	server, err := handover.Listen(socket) // in the place of the process that runs
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		server.Serve(handover.Offer{
			Version: "v0", Log: slog.New(slog.DiscardHandler), ReadyTime: time.Nanosecond,
			Sockets: func() ([]handover.Socket, error) {
				own, err := handover.Dup(listening)
				return []handover.Socket{{Kind: "listener", Name: "ingress", Address: "127.0.0.1:0", Listener: own}}, err
			},
		})
	})
	defer serving.Wait()
	defer server.Close()
	path := upgradable(t, named(t, "one"), socket, "off")
	_, stderr, code := hopscope(t, "run", "-c", path, "--upgrade")
	want := fmt.Sprintf("--upgrade: the old process keeps running, and this one ends: process %d: process ", os.Getpid())
	if code != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "was not ready within 1ns") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the upgrade socket: %v", err)
	}
	select {
	case peer := <-server.Taken():
		t.Errorf("taken by %+v", peer)
	default:
	}
}
