package snapshot_test

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
)

// unharmed sends n requests one after the other on one connection, each of
// which must succeed without waiting for anything but its endpoint.
func (l *rig) unharmed(n int, fields string) {
	l.t.Helper()
	p := dialPeer(l.t, l.ingress())
	defer p.Close()
	request := "GET /row HTTP/1.1\r\nHost: web.test\r\n" + fields + "\r\n"
	var took []time.Duration
	for range n {
		start := time.Now()
		p.send(request)
		p.ok()
		took = append(took, time.Since(start))
	}
	// Whatever stalls a request here stalls it for a second at least.
	if slices.Sort(took); took[n/2] > 500*time.Millisecond {
		l.t.Errorf("requests are slow: the median of %d took %v", n, took[n/2])
	}
}

// lost is what a view has dropped, for a reason.
func (l *rig) lost(view, reason string) float64 {
	return l.scrape().sum("hopscope_telemetry_dropped_total", "view", view, "reason", reason)
}

// droppedBy is what the admin API says that a view has dropped.
func (l *rig) droppedBy(view string) string {
	l.t.Helper()
	var info struct {
		Dropped map[string]map[string]float64 `json:"telemetry_dropped"`
	}
	l.adminJSON("/server_info", &info)
	return fmt.Sprint(info.Dropped[view])
}

// warned checks that the proxy's own log says something exactly once.
func (l *rig) warned(what string) {
	l.t.Helper()
	same(l.t, "warnings that "+what, strings.Count(l.said.String(), what), 1)
}

func quickly(address string) func(*settings) {
	return func(s *settings) {
		o := config.NewOTLP(address)
		o.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.Traces.OTLP = o
	}
}

// A collector that is not there: requests go on, what is lost is counted and
// said once, and when it is there spans arrive.
func TestCollectorThatIsNotThere(t *testing.T) {
	t.Parallel()
	fd, address := bound(t)
	l := startLab(t, always(okay)(t), quickly(address))
	for range 3 { // three exports at least, each of which fails
		before := l.lost("spans", "export_failed")
		l.unharmed(50, "")
		eventually(t, "lost spans being counted", func() bool { return l.lost("spans", "export_failed") > before })
	}
	l.warned("spans are lost")

	c := &collector{}
	if err := syscall.Listen(fd, 64); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "collector")
	socket, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.serve(t, socket)
	eventually(t, "spans at the collector that came", func() bool {
		l.unharmed(1, "")
		return len(c.all()) > 0
	})
	eventually(t, "the proxy saying so", func() bool { return strings.Contains(l.said.String(), "spans are exported again") })
	l.warned("spans are lost")
}

// A collector that takes spans and says nothing.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	c := &collector{hang: make(chan struct{})}
	c.start(t, "127.0.0.1:0")
	l := startLab(t, always(okay)(t), quickly(c.address))
	l.unharmed(100, "")
	eventually(t, "lost spans being counted", func() bool { return l.lost("spans", "export_failed") > 0 })
	l.unharmed(100, "")
	l.warned("spans are lost")
	close(c.hang)
	eventually(t, "spans at the collector that woke up", func() bool {
		l.unharmed(1, "")
		return len(c.all()) > 0
	})
	eventually(t, "the lines of all", func() bool { return len(l.lines()) > 200 })
}

// A Zipkin that does not take what it gets.
func TestZipkinThatRefuses(t *testing.T) {
	t.Parallel()
	l := startLab(t, always(okay)(t), func(s *settings) {
		address := goServer(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) })
		z := config.NewZipkin("http://" + address + "/api/v2/spans")
		z.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.Traces.Zipkin = z
	})
	l.unharmed(50, "")
	eventually(t, "lost spans being counted", func() bool { return l.lost("spans", "export_failed") > 0 })
	l.warned("spans are lost")
}

// A disk that is full.
func TestLogOnAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	l := startLab(t, always(okay)(t), func(s *settings) { s.Config.Telemetry.AccessLog.Path = "/dev/full" })
	for range 3 {
		before := l.lost("access_log", "write_error")
		l.unharmed(50, "")
		eventually(t, "lost lines being counted", func() bool { return l.lost("access_log", "write_error") > before })
	}
	l.warned("the access log can't be written")
	eventually(t, "the admin API saying as much as the metric", func() bool {
		return l.droppedBy("access_log") == fmt.Sprintf("map[total:%v write_error:%[1]v]", l.lost("access_log", "write_error"))
	})
	same(t, "counted", l.scrape().sum("hopscope_requests_total"), 150)
	eventually(t, "the spans", func() bool { return len(l.collector.all()) == 300 })
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
	l := startLab(t, always(okay)(t), func(s *settings) {
		s.Config.Telemetry.AccessLog.Path = path
		s.Config.Telemetry.Traces.Sample = 0
	})
	long := "User-Agent: " + strings.Repeat("a", 4096) + "\r\n"
	eventually(t, "the log's buffer being full", func() bool {
		l.unharmed(500, long)
		return l.lost("access_log", "buffer_full") > 0
	})
	l.unharmed(100, "")
	same(t, "lines that could not be written", l.lost("access_log", "write_error"), 0)
	eventually(t, "the log saying so", func() bool { return strings.Contains(l.said.String(), "lines of the access log are dropped") })
	reader.Close()
	eventually(t, "the broken pipe being counted", func() bool { return l.lost("access_log", "write_error") > 0 })
	l.unharmed(100, "")
	l.warned("the access log can't be written")
}

// A proxy that ends does not wait for a connection that nobody answers.
func TestEndWhileConnecting(t *testing.T) {
	t.Parallel()
	l := startLab(t, deaf(t), func(s *settings) { s.Cluster.ConnectTimeout = time.Hour })
	p := dialPeer(t, l.ingress())
	p.send(plain)
	eventually(t, "the request being on its way", func() bool { return l.scrape().sum("hopscope_downstream_requests_active") == 1 })
	l.stop()
	if text, err := io.ReadAll(p); err == nil && strings.Contains(string(text), " 200 ") {
		t.Errorf("the client got %q", text)
	}
	if len(l.lines()) != 1 || len(l.collector.all()) != 2 {
		t.Fatalf("lines %v, spans %v", l.lines(), l.collector.all())
	}
	one, client := l.lines()[0], l.collector.all()[1]
	if !strings.HasPrefix(one.text("flags"), "LR") {
		t.Errorf("log: %v", one)
	}
	same(t, "log: failed_hop", one.text("failed_hop"), "front")
	reason(t, "log: failure_reason", one.text("failure_reason"), "the proxy is shutting down")
	same(t, "span: error.type", client.attributes["error.type"], "proxy_internal_response")
	same(t, "span: flags", client.attributes["hopscope.flags"], "LR")
}
