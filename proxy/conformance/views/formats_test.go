package views_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Several logs of one proxy have each its own lines and its own hops. Fields of requests and
// responses that a line asks for are recorded, over either protocol.
func TestSeveralAccessLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, object, failed := filepath.Join(dir, "text"), filepath.Join(dir, "json"), filepath.Join(dir, "failed")
	endpoint := proxytest.Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Version: v2\r\n\r\nok")(t)
	l := proxytest.StartWithViews(t, endpoint, withPages(t), func(s *proxytest.Settings) {
		s.Config.Clusters["good"] = config.NewCluster(endpoint)
		route := config.NewRoute("good")
		route.Match.PathPrefix = "/good"
		s.Listener.Routes = append(s.Listener.Routes, route)
		one := func(path string, change func(*config.AccessLogTo)) {
			a := config.New().Telemetry.AccessLog.AccessLogTo
			a.Path = path
			change(&a)
			s.Config.Telemetry.AccessLog.Also = append(s.Config.Telemetry.AccessLog.Also, a)
		}
		one(text, func(a *config.AccessLogTo) {
			a.Format = "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(Referer)% %RESP(X-Version)% %RESP(Proxy-Status):5%\n"
		})
		one(object, func(a *config.AccessLogTo) {
			a.JSONFormat = `{"code":"%RESPONSE_CODE%","to":"%REQ(referer)%","who":{"failed":"%HOP(failed_hop)%"}}`
		})
		one(failed, func(a *config.AccessLogTo) { a.Only, a.Fields = "failed", []string{"path", "status"} })
	})
	for _, speaks := range []proxytest.Side{proxytest.H1C, proxytest.H2C} {
		errorFor(t, l, speaks, "GET", "/good?token=1", "Referer", "http://r/\"x")
		errorFor(t, l, speaks, "GET", "/row")
	}
	l.CloseWithin(proxytest.Patience)
	for path, want := range map[string]string{
		text:   "GET /good?token=REDACTED 200 - http://r/\\\"x v2 front\nGET /row 503 UF - - front\n",
		object: `{"code":200,"to":"http://r/\"x","who":{"failed":null}}` + "\n" + `{"code":503,"to":null,"who":{"failed":"front"}}` + "\n",
		failed: `{"path":"/row","status":503}` + "\n",
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(got), "\n")
		slices.Sort(lines) // each connection's are in order, and no more
		wanted := strings.SplitAfter(strings.Repeat(want, 2), "\n")
		slices.Sort(wanted)
		proxytest.Same(t, filepath.Base(path), strings.Join(lines, ""), strings.Join(wanted, ""))
	}
	proxytest.Same(t, "lines of the default log", len(l.Lines()), 4)
}

// The entries of Envoy's gRPC access log arrive; a service that is away costs entries, which
// are counted, and no request.
func TestEnvoysAccessLogService(t *testing.T) {
	t.Parallel()
	fd, address := proxytest.Bound(t)
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		s.Config.Telemetry.AccessLog.ALS = config.NewALS(address)
	})
	unharmed(l, 50, "")
	proxytest.Eventually(t, "lost entries being counted", func() bool { return lostBy(l, "access_log_als", "export_failed") > 0 })
	warned(l, "access log entries are lost")
	service := &accessLogService{}
	if err := syscall.Listen(fd, 64); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "service")
	socket, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	alspb.RegisterAccessLogServiceServer(server, service)
	serveGRPC(t, server, socket)
	proxytest.Eventually(t, "entries at the service that came", func() bool {
		unharmed(l, 1, "")
		return service.entries.Load() > 0
	})
	warned(l, "access log entries are lost")
	l.CloseWithin(proxytest.Patience)
	lines := len(l.Lines())
	proxytest.Same(t, "the path of an entry", service.path.Load().(string), "/row")
	if n := int(service.entries.Load()); n > lines || n == 0 {
		t.Errorf("%d entries of %d requests", n, lines)
	}
}

// serveGRPC serves on a socket until the test ends.
func serveGRPC(t *testing.T, server *grpc.Server, socket net.Listener) {
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
}

// accessLogService counts entries.
type accessLogService struct {
	alspb.UnimplementedAccessLogServiceServer
	entries atomic.Int64
	path    atomic.Value
}

func (s *accessLogService) StreamAccessLogs(stream alspb.AccessLogService_StreamAccessLogsServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return stream.SendAndClose(&alspb.StreamAccessLogsResponse{})
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			s.path.Store(e.Request.Path)
			s.entries.Add(1)
		}
	}
}

// Log records reach an OpenTelemetry collector, beside the lines of the file. A collector
// that does not answer costs records, which are counted, and no request.
func TestAccessLogOverOTLP(t *testing.T) {
	t.Parallel()
	logs := &logsService{hang: make(chan struct{})}
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		o := config.NewOTLP(logs.serve(t))
		o.Timeout = 100 * time.Millisecond
		s.Config.Telemetry.AccessLog.OTLP = o
	})
	unharmed(l, 100, "")
	proxytest.Eventually(t, "lost records being counted", func() bool { return lostBy(l, "access_log_otlp", "export_failed") > 0 })
	warned(l, "log records are lost")
	close(logs.hang)
	proxytest.Eventually(t, "records at the collector that woke up", func() bool {
		unharmed(l, 1, "")
		return logs.records.Load() > 0
	})
	warned(l, "log records are lost")
}

// logsService counts log records, once it no longer hangs.
type logsService struct {
	collogspb.UnimplementedLogsServiceServer
	hang    chan struct{}
	records atomic.Int64
}

func (s *logsService) Export(ctx context.Context, r *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	select {
	case <-s.hang:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, rl := range r.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			s.records.Add(int64(len(sl.LogRecords)))
		}
	}
	return &collogspb.ExportLogsServiceResponse{}, nil
}

func (s *logsService) serve(t *testing.T) string {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collogspb.RegisterLogsServiceServer(server, s)
	serveGRPC(t, server, socket)
	return socket.Addr().String()
}
