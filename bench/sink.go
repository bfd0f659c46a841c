package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
)

// sinkAddresses is the first line that the sink process prints.
type sinkAddresses struct {
	OTLP   string `json:"otlp"`
	Syslog string `json:"syslog"`
}

// sinkCounts is what the sink has received so far; it prints one for each line
// that it reads.
type sinkCounts struct {
	Spans  map[string]int64 `json:"spans"` // by service.name
	Syslog int64            `json:"syslog"`
}

// spanCounter is an OTLP trace service that counts spans and drops them.
type spanCounter struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string]int64 // by service.name
}

// Export counts the spans of one batch.
func (c *spanCounter) Export(_ context.Context, batch *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range batch.GetResourceSpans() {
		service := serviceName(rs.GetResource())
		for _, ss := range rs.GetScopeSpans() {
			c.spans[service] += int64(len(ss.GetSpans()))
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *spanCounter) counts() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := make(map[string]int64, len(c.spans))
	for service, n := range c.spans {
		copied[service] = n
	}
	return copied
}

func serviceName(r *resource.Resource) string {
	for _, attribute := range r.GetAttributes() {
		if attribute.GetKey() == "service.name" {
			return attribute.GetValue().GetStringValue()
		}
	}
	return ""
}

// serveSink receives spans over OTLP gRPC and syslog datagrams over UDP on
// loopback ports of its choice until in ends. It runs as a process of its own,
// so that its CPU time is nobody's figure.
func serveSink(in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	_ = packets.SetReadBuffer(4 << 20) // as much as the system grants

	counter := &spanCounter{spans: map[string]int64{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, counter)
	var datagrams atomic.Int64
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	running.Go(func() { countDatagrams(packets, &datagrams) })

	answers := json.NewEncoder(out)
	err = answers.Encode(sinkAddresses{listener.Addr().String(), packets.LocalAddr().String()})
	asked := bufio.NewScanner(in)
	for err == nil && asked.Scan() {
		err = answers.Encode(sinkCounts{counter.counts(), datagrams.Load()})
	}
	server.Stop()
	err = errors.Join(err, asked.Err(), packets.Close())
	running.Wait()
	return err
}

// countDatagrams counts what arrives until conn is closed.
func countDatagrams(conn *net.UDPConn, n *atomic.Int64) {
	buffer := make([]byte, 64<<10)
	for {
		if _, _, err := conn.ReadFromUDPAddrPort(buffer); err != nil {
			return
		}
		n.Add(1)
	}
}

// sink is the harness's end of the sink process.
type sink struct {
	sinkAddresses
	cmd     *exec.Cmd
	ask     io.WriteCloser
	answers *json.Decoder
}

// startSink runs program with the argument that makes it serve as the sink.
func startSink(program string, core int) (*sink, error) {
	s := &sink{cmd: newCommand(core, []string{program, sinkArgument}, nil)}
	var err error
	if s.ask, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answers = json.NewDecoder(out)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sink: %w", err)
	}
	if err := s.answers.Decode(&s.sinkAddresses); err != nil {
		s.stop()
		return nil, fmt.Errorf("start the sink: %w", err)
	}
	return s, nil
}

// counts asks what has arrived so far.
func (s *sink) counts() (sinkCounts, error) {
	if _, err := io.WriteString(s.ask, "\n"); err != nil {
		return sinkCounts{}, fmt.Errorf("ask the sink: %w", err)
	}
	var c sinkCounts
	if err := s.answers.Decode(&c); err != nil {
		return sinkCounts{}, fmt.Errorf("ask the sink: %w", err)
	}
	return c, nil
}

// stop ends the process: the end of its input is its sign.
func (s *sink) stop() {
	_ = s.ask.Close()
	_ = s.cmd.Wait()
}
