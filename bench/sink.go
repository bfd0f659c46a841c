package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"

	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// sinkAddresses is the first line that the sink process prints.
type sinkAddresses struct {
	OTLP   string `json:"otlp"`
	Syslog string `json:"syslog"`
	GRPC   string `json:"grpc"` // the backend of gRPC calls
}

// sinkCounts is what the sink has received so far; it prints one for each line
// that it reads.
type sinkCounts struct {
	Spans  map[string]int64 `json:"spans"` // by service.name
	Syslog int64            `json:"syslog"`
	Calls  int64            `json:"calls"` // that the gRPC backend answered
}

// spanCounter is an OTLP trace service that counts spans and drops them. It
// looks no deeper into a batch than it must: its core is that of the load and
// the backend, and what it takes there the proxies are not asked.
type spanCounter struct {
	mu    sync.Mutex
	spans map[string]int64 // by service.name
}

// serve answers one Export call.
func (c *spanCounter) serve(_ any, call grpc.ServerStream) error {
	var batch []byte
	if err := call.RecvMsg(&batch); err != nil {
		return err
	}
	if err := c.count(batch); err != nil {
		return err
	}
	return call.SendMsg(&[]byte{}) // an empty ExportTraceServiceResponse
}

// count adds the spans of an ExportTraceServiceRequest: its field 1 is
// resource_spans, of which 1 is the resource and 2 are scope_spans, of which 2
// are spans.
func (c *spanCounter) count(batch []byte) error {
	return eachField(batch, func(field protowire.Number, resourceSpans []byte) error {
		if field != 1 {
			return nil
		}
		service, n := "", int64(0)
		err := eachField(resourceSpans, func(field protowire.Number, value []byte) error {
			switch field {
			case 1:
				var r resource.Resource
				err := proto.Unmarshal(value, &r)
				service = serviceName(&r)
				return err
			case 2:
				return eachField(value, func(field protowire.Number, _ []byte) error {
					if field == 2 {
						n++
					}
					return nil
				})
			}
			return nil
		})
		if n > 0 {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.spans[service] += n
		}
		return err
	})
}

// eachField calls do with each length-delimited field of a message.
func eachField(message []byte, do func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := do(field, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// rawCodec passes messages as the bytes they are, in a *[]byte.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
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

// serveSink receives spans over OTLP gRPC and syslog datagrams over UDP, and answers
// gRPC calls, on loopback ports of its choice until in ends. It runs as a process of
// its own, so that its CPU time is nobody's figure.
func serveSink(in io.Reader, out io.Writer) error {
	var listeners [2]net.Listener // of spans and of calls
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		defer listeners[i].Close() // its server has closed it, unless none came to be
	}
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	_ = packets.SetReadBuffer(4 << 20) // as much as the system grants

	counter := &spanCounter{spans: map[string]int64{}}
	backend := new(echo)
	servers := [2]*grpc.Server{rawServer(counter.serve), rawServer(backend.serve)}
	var datagrams atomic.Int64
	var running sync.WaitGroup
	for i, server := range servers {
		running.Go(func() { _ = server.Serve(listeners[i]) })
	}
	running.Go(func() { countDatagrams(packets, &datagrams) })

	answers := json.NewEncoder(out)
	err = answers.Encode(sinkAddresses{listeners[0].Addr().String(), packets.LocalAddr().String(), listeners[1].Addr().String()})
	asked := bufio.NewScanner(in)
	for err == nil && asked.Scan() {
		err = answers.Encode(sinkCounts{counter.counts(), datagrams.Load(), backend.calls.Load()})
	}
	for _, server := range servers {
		server.Stop()
	}
	err = errors.Join(err, asked.Err(), packets.Close())
	running.Wait()
	return err
}

// rawServer is a gRPC server of which every method is serve's.
func rawServer(serve grpc.StreamHandler) *grpc.Server {
	return grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(serve))
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
	mu      sync.Mutex // one question at a time
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
	s.mu.Lock()
	defer s.mu.Unlock()
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
