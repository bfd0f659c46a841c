package views_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// unharmed sends n requests one after the other on one connection, each of
// which must succeed without waiting for anything but its endpoint.
func unharmed(l *proxytest.Proxy, n int, fields string) {
	l.T.Helper()
	p := proxytest.Dial(l.T, l.Ingress())
	defer p.Close()
	request := "GET /row HTTP/1.1\r\nHost: web.test\r\n" + fields + "\r\n"
	var took []time.Duration
	for range n {
		start := time.Now()
		p.Send(request)
		p.ReadOK()
		took = append(took, time.Since(start))
	}
	// Whatever stalls a request here stalls it for a second at least.
	if slices.Sort(took); took[n/2] > 500*time.Millisecond {
		l.T.Errorf("requests are slow: the median of %d took %v", n, took[n/2])
	}
}

// lostBy is what a view has dropped, for a reason.
func lostBy(l *proxytest.Proxy, view, reason string) float64 {
	return l.Scrape().Sum("hopscope_telemetry_dropped_total", "view", view, "reason", reason)
}

// droppedBy is what the admin API says that a view has dropped.
func droppedBy(l *proxytest.Proxy, view string) string {
	l.T.Helper()
	var info struct {
		Dropped map[string]map[string]float64 `json:"telemetry_dropped"`
	}
	l.AdminJSON("/server_info", &info)
	return fmt.Sprint(info.Dropped[view])
}

// warned checks that the proxy's own log says something exactly once.
func warned(l *proxytest.Proxy, what string) {
	l.T.Helper()
	proxytest.Same(l.T, "warnings that "+what, strings.Count(l.Said.String(), what), 1)
}

func quickly(address string) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) {
		o := config.NewOTLP(address)
		o.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.Traces.OTLP = o
	}
}

// A collector that is not there: requests go on, what is lost is counted and
// said once, and when it is there spans arrive.
func TestCollectorThatIsNotThere(t *testing.T) {
	t.Parallel()
	fd, address := proxytest.Bound(t)
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), quickly(address))
	for range 3 { // three exports at least, each of which fails
		before := lostBy(l, "spans", "export_failed")
		unharmed(l, 50, "")
		proxytest.Eventually(t, "lost spans being counted", func() bool { return lostBy(l, "spans", "export_failed") > before })
	}
	warned(l, "spans are lost")

	c := &proxytest.Collector{}
	if err := syscall.Listen(fd, 64); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "collector")
	socket, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.Serve(t, socket)
	proxytest.Eventually(t, "spans at the collector that came", func() bool {
		unharmed(l, 1, "")
		return len(c.All()) > 0
	})
	proxytest.Eventually(t, "the proxy saying so", func() bool { return strings.Contains(l.Said.String(), "exporting spans works again") })
	warned(l, "spans are lost")
}

// A collector that takes spans and says nothing.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	c := &proxytest.Collector{Hang: make(chan struct{})}
	c.Start(t, "127.0.0.1:0")
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), quickly(c.Address))
	unharmed(l, 100, "")
	proxytest.Eventually(t, "lost spans being counted", func() bool { return lostBy(l, "spans", "export_failed") > 0 })
	unharmed(l, 100, "")
	warned(l, "spans are lost")
	close(c.Hang)
	proxytest.Eventually(t, "spans at the collector that woke up", func() bool {
		unharmed(l, 1, "")
		return len(c.All()) > 0
	})
	proxytest.Eventually(t, "the lines of all", func() bool { return len(l.Lines()) > 200 })
}

// A Zipkin that does not take what it gets.
func TestZipkinThatRefuses(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) })
		z := config.NewZipkin("http://" + address + "/api/v2/spans")
		z.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.Traces.Zipkin = z
	})
	unharmed(l, 50, "")
	proxytest.Eventually(t, "lost spans being counted", func() bool { return lostBy(l, "spans", "export_failed") > 0 })
	warned(l, "spans are lost")
}

// A disk that is full.
func TestLogOnAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) { s.Config.Telemetry.AccessLog.Path = "/dev/full" })
	for range 3 {
		before := lostBy(l, "access_log", "write_error")
		unharmed(l, 50, "")
		proxytest.Eventually(t, "lost lines being counted", func() bool { return lostBy(l, "access_log", "write_error") > before })
	}
	warned(l, "the access log can't be written")
	proxytest.Eventually(t, "the admin API saying as much as the metric", func() bool {
		return droppedBy(l, "access_log") == fmt.Sprintf("map[total:%v write_error:%[1]v]", lostBy(l, "access_log", "write_error"))
	})
	proxytest.Same(t, "counted", l.Scrape().Sum("hopscope_requests_total"), 150)
	proxytest.Eventually(t, "the spans", func() bool { return len(l.Collector.All()) == 150 })
}

// A reader that stops reading, and then goes away.
func TestLogWithADeadReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		s.Config.Telemetry.AccessLog.Path = path
		s.Config.Telemetry.Traces.Sample = 0
	})
	long := "User-Agent: " + strings.Repeat("a", 4096) + "\r\n"
	proxytest.Eventually(t, "the log's buffer being full", func() bool {
		unharmed(l, 500, long)
		return lostBy(l, "access_log", "buffer_full") > 0
	})
	unharmed(l, 100, "")
	proxytest.Same(t, "lines that could not be written", lostBy(l, "access_log", "write_error"), 0)
	proxytest.Eventually(t, "the log saying so", func() bool { return strings.Contains(l.Said.String(), "lines of the access log are dropped") })
	reader.Close()
	proxytest.Eventually(t, "the broken pipe being counted", func() bool { return lostBy(l, "access_log", "write_error") > 0 })
	unharmed(l, 100, "")
	warned(l, "the access log can't be written")
}

// A proxy that ends does not wait for a connection that nobody answers.
func TestEndWhileConnecting(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.DeafAddress(t), func(s *proxytest.Settings) { s.Cluster.ConnectTimeout = time.Hour })
	p := proxytest.Dial(t, l.Ingress())
	p.Send(proxytest.RowRequest)
	proxytest.Eventually(t, "the request being on its way", func() bool { return l.Scrape().Sum("hopscope_downstream_requests_active") == 1 })
	l.Stop()
	if text, err := io.ReadAll(p); err == nil && strings.Contains(string(text), " 200 ") {
		t.Errorf("the client got %q", text)
	}
	if len(l.Lines()) != 1 || len(l.Collector.All()) != 1 {
		t.Fatalf("lines %v, spans %v", l.Lines(), l.Collector.All())
	}
	one, span := l.Lines()[0], l.Collector.All()[0]
	if !strings.HasPrefix(one.Text("flags"), "LR") {
		t.Errorf("log: %v", one)
	}
	proxytest.Same(t, "log: failed_hop", one.Text("failed_hop"), "front")
	proxytest.Reason(t, "log: failure_reason", one.Text("failure_reason"), "the proxy is shutting down")
	proxytest.Same(t, "span: error.type", span.Attributes["error.type"], "proxy_internal_response")
	proxytest.Same(t, "span: flags", span.Attributes["hopscope.flags"], one.Text("flags"))
}
