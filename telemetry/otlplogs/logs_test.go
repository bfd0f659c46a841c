package otlplogs

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a collector that keeps what it gets.
type fake struct {
	collogspb.UnimplementedLogsServiceServer
	hang chan struct{} // nil is for none; it answers once that is closed

	mu       sync.Mutex
	messages []*logspb.ResourceLogs
}

func (f *fake) Export(ctx context.Context, r *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	if f.hang != nil {
		select {
		case <-f.hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, r.ResourceLogs...)
	return &collogspb.ExportLogsServiceResponse{}, nil
}

func (f *fake) records() (all []*logspb.LogRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rl := range f.messages {
		for _, sl := range rl.ScopeLogs {
			all = append(all, sl.LogRecords...)
		}
	}
	return all
}

func (f *fake) serve(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collogspb.RegisterLogsServiceServer(server, f)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return l.Addr().String()
}

func record(body string) *logspb.LogRecord {
	return &logspb.LogRecord{
		TimeUnixNano: 1, TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567"),
		Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: body}},
	}
}

func dropped(l *Logs) map[string]int {
	m := map[string]int{}
	l.Dropped(func(value float64, reason string) {
		if value > 0 {
			m[reason] = int(value)
		}
	})
	return m
}

func TestRecordsArriveAsTheyWere(t *testing.T) {
	f := &fake{}
	l, err := New(collector.Options{Endpoint: f.serve(t)}, Options{Service: "web", Resource: resource.Options{Version: "1.2.3"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []*logspb.LogRecord{record("one"), record(strings.Repeat("x", 300)), record("")}
	l.Export(want)
	reused := record("two")
	l.Export([]*logspb.LogRecord{reused, record("\xff")})
	want = append(want, record("two"))
	reused.Body.Value = &commonpb.AnyValue_StringValue{StringValue: "three"}
	l.Export(nil)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f.records(), protocmp.Transform()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(f.messages) != 2 || f.messages[0].Resource.Attributes[0].Value.GetStringValue() != "web" ||
		f.messages[0].ScopeLogs[0].Scope.Version != "1.2.3" {
		t.Errorf("messages %v", f.messages)
	}
	if d := dropped(l); len(d) != 1 || d["invalid"] != 1 {
		t.Errorf("dropped %v, want the one that is not UTF-8", d)
	}
}

// However many records come at once, no message is too large for a collector.
func TestLargeBatchesAreSplit(t *testing.T) {
	f := &fake{}
	l, err := New(collector.Options{Endpoint: f.serve(t)}, Options{Service: "web"})
	if err != nil {
		t.Fatal(err)
	}
	records := make([]*logspb.LogRecord, 6000)
	for i := range records {
		records[i] = record(fmt.Sprintf("%01000d", i))
	}
	l.Export(records)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.records()
	if len(got) != len(records) {
		t.Fatalf("%d records came, want %d", len(got), len(records))
	}
	for i := range got {
		if !proto.Equal(got[i], records[i]) {
			t.Fatalf("record %d came as %v", i, got[i])
		}
	}
	if n := len(f.messages); n != 8 && n != 9 {
		t.Errorf("%d messages, want about one for each %d bytes", n, maxBatchBytes)
	}
}

// A collector that hangs holds nobody up: what it does not take is lost and counted.
func TestACollectorThatHangs(t *testing.T) {
	f := &fake{hang: make(chan struct{})}
	l, err := New(collector.Options{Endpoint: f.serve(t)}, Options{Service: "web", QueueBytes: 10 << 10})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	for range n {
		l.Export([]*logspb.LogRecord{record(strings.Repeat("x", 100))})
	}
	close(f.hang)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := dropped(l)
	if got := len(f.records()); len(d) != 1 || d["queue_full"]+got != n || got > 100 {
		t.Errorf("dropped %v and sent %d of %d", d, got, n)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := New(collector.Options{Endpoint: "nowhere"}, Options{}); err == nil {
		t.Error("an endpoint without a port was taken")
	}
}
