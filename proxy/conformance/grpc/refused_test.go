package grpc_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// refusingOnce is an endpoint that refuses its first call, and answers the others
// with one empty response.
func refusingOnce(t testing.TB, refuse func(f *proxytest.HTTP2Peer, stream uint32)) string {
	calls := make(chan int, 1)
	calls <- 0
	return proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		for {
			stream, ok := f.ReadRequest()
			if !ok {
				return
			}
			n := <-calls
			calls <- n + 1
			if n == 0 {
				refuse(f, stream)
				continue
			}
			f.SendHeaders(stream, false, f.Encode(":status: 200", "content-type: application/grpc"))
			f.Check(f.WriteData(stream, false, proxytest.GRPCMessage(nil)))
			f.SendHeaders(stream, true, f.Encode("grpc-status: 0"))
		}
	})
}

// A call that the endpoint says it did not begin is sent once more, be it over or
// not: as long as the proxy has all that was read of it.
func TestRefusedCalls(t *testing.T) {
	for name, refuse := range map[string]func(f *proxytest.HTTP2Peer, stream uint32){
		"GOAWAY": func(f *proxytest.HTTP2Peer, _ uint32) { f.Check(f.WriteGoAway(0, http2.ErrCodeNo, nil)) },
		"REFUSED_STREAM": func(f *proxytest.HTTP2Peer, stream uint32) {
			f.Check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
		},
	} {
		h2c := func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" }
		t.Run(name+" unary", func(t *testing.T) {
			t.Parallel()
			l := proxytest.StartWithViews(t, refusingOnce(t, refuse), h2c)
			client := h2Client(t, nil)
			r, body := postCall(t, client, "http://"+l.Ingress()+unaryPath, bytes.NewReader(proxytest.GRPCMessage(nil)))
			proxytest.Same(t, "grpc-status", r.Header.Get("Grpc-Status")+r.Trailer.Get("Grpc-Status"), "0")
			proxytest.Same(t, "bytes of content", len(body), 5)
			one := l.End(1).Lines[0]
			proxytest.Same(t, "flags", one["flags"], nil)
			attempts := one["attempts"].([]any)
			proxytest.Same(t, "attempts", len(attempts), 2)
			proxytest.Same(t, "flags of the first", proxytest.Line(attempts[0].(map[string]any)).Text("flags"), "UR")
		})
		for _, sent := range []int{0, 1, 3} { // messages, before the call is refused
			t.Run(fmt.Sprint(name, " stream, ", sent, " messages"), func(t *testing.T) {
				t.Parallel()
				ready := make(chan struct{})
				address := proxytest.HTTP2Endpoint(t, callsAfter(t, ready, func(f *proxytest.HTTP2Peer, stream uint32) {
					for have := 0; have < sent*messageSize; {
						frame := f.Until("messages", func(frame http2.Frame) bool { _, ok := frame.(*http2.DataFrame); return ok })
						have += len(frame.(*http2.DataFrame).Data())
					}
					refuse(f, stream)
				}))
				l := proxytest.StartWithViews(t, address, h2c)
				conn := dialCalls(t, l.Ingress(), nil)
				s, err := pb.NewTestServiceClient(conn).StreamingInputCall(limited(t))
				if err != nil {
					t.Fatal(err)
				}
				send := func() {
					if err := s.Send(&pb.StreamingInputCallRequest{Payload: payload(1000)}); err != nil {
						t.Error(err)
					}
				}
				for range sent {
					send()
				}
				<-ready // the second endpoint has the call
				send()
				got, err := s.CloseAndRecv()
				if err != nil || got.AggregatedPayloadSize != int32(sent+1) {
					t.Errorf("%d messages arrived (%v), want %d", got.GetAggregatedPayloadSize(), err, sent+1)
				}
				conn.Close()
				one := l.End(1).Lines[0]
				proxytest.Same(t, "flags", one["flags"], nil)
				proxytest.Same(t, "attempts", len(one["attempts"].([]any)), 2)
				proxytest.Same(t, "bytes_in", one["bytes_in"].(float64), float64((sent+1)*messageSize))
			})
		}
	}
}

// messageSize is that of a StreamingInputCallRequest with 1,000 bytes of payload.
const messageSize = 5 + 1006

// callsAfter refuses the first call, and counts the messages of the second, once it
// has told that it is there.
func callsAfter(t testing.TB, ready chan struct{}, refuse func(f *proxytest.HTTP2Peer, stream uint32)) func(int, *proxytest.HTTP2Peer) {
	calls := make(chan int, 1)
	calls <- 0
	return func(_ int, f *proxytest.HTTP2Peer) {
		for {
			stream, ok := f.ReadRequest()
			if !ok {
				return
			}
			n := <-calls
			calls <- n + 1
			if n == 0 {
				refuse(f, stream)
				continue
			}
			close(ready)
			size := 0
			f.Until("the end of the call", func(frame http2.Frame) bool {
				data, ok := frame.(*http2.DataFrame)
				if ok {
					size += len(data.Data())
				}
				return ok && data.StreamEnded()
			})
			if size%messageSize != 0 {
				t.Errorf("%d bytes of messages", size)
			}
			text, err := proto.Marshal(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size / messageSize)})
			if err != nil {
				t.Error(err)
			}
			f.SendHeaders(stream, false, f.Encode(":status: 200", "content-type: application/grpc"))
			f.Check(f.WriteData(stream, false, proxytest.GRPCMessage(text)))
			f.SendHeaders(stream, true, f.Encode("grpc-status: 0"))
		}
	}
}

// A response that ends within a message ends with a status all the same, and
// nobody takes what came for the whole.
func TestEndsWithinAMessage(t *testing.T) {
	t.Parallel()
	had := make(chan struct{})
	l := proxytest.StartWithViews(t, h2cServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write(proxytest.GRPCMessage(make([]byte, 100))[:50])
		w.(http.Flusher).Flush()
		<-had
		panic(http.ErrAbortHandler)
	}), func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+l.Ingress()+unaryPath, bytes.NewReader(proxytest.GRPCMessage(nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	resp, err := h2Client(t, nil).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 50)); err != nil {
		t.Fatal(err)
	}
	close(had)
	rest, err := io.ReadAll(resp.Body)
	if len(rest) > 0 || err != nil {
		t.Errorf("after what came: %q, %v", rest, err)
	}
	proxytest.Same(t, "grpc-status", resp.Trailer.Get("Grpc-Status"), "14")
	failed, _ := headers.Failure(parseMembers(t, resp.Trailer))
	proxytest.Same(t, "who failed by the response", failed.Hop, "front")
	one := l.End(1).Lines[0]
	proxytest.Same(t, "flags", one.Text("flags"), "UR")
	proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), "UNAVAILABLE")
}

// What breaks off a stream on its way to a browser is in the trailers as well.
func TestGRPCWebBreaksOff(t *testing.T) {
	t.Parallel()
	address, _, _ := neverAnswers(t)
	for _, text := range []bool{false, true} {
		l := proxytest.StartWithViews(t, address, func(s *proxytest.Settings) {
			s.Cluster.Protocol, s.Route.Timeout = "http2", 80*time.Millisecond
		})
		for _, speaks := range proxytest.Sides[:2] {
			client := h2Client(t, nil)
			if !speaks.HTTP2 {
				client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: proxytest.Patience}
			}
			w := &webClient{client, "http://" + l.Ingress(), text}
			a := w.ask(t, outputPath, &pb.StreamingOutputCallRequest{})
			proxytest.Same(t, "responses", len(a.messages), 1)
			proxytest.Same(t, "the status was in the head", a.inHead, false)
			proxytest.Same(t, "grpc-status", a.end.Get("Grpc-Status"), "4")
			failed, _ := headers.Failure(parseMembers(t, a.end))
			proxytest.Same(t, "who failed by the response", failed.Hop, "front")
			client.CloseIdleConnections()
		}
		v := l.End(2)
		proxytest.Same(t, "calls counted", v.Metrics.Sum("hopscope_requests_total", "grpc_status", "DEADLINE_EXCEEDED", "flag", "UT"), 2)
	}
}

// A client that pings to see whether the connection is alive gets its answers, and
// may go on with its calls.
func TestKeepAliveIsNoFlood(t *testing.T) {
	t.Parallel()
	const pings = 300
	x := startCalls(t, wirings[0], &callee{})
	x.conn.Close()
	f := proxytest.DialHTTP2(t, x.Ingress())
	f.Rude = true // it answers nothing by itself, and all frames are seen
	for i := range pings {
		f.Check(f.WritePing(false, [8]byte{byte(i), byte(i >> 8)}))
		f.Until("the answer to a PING", func(frame http2.Frame) bool {
			p, ok := frame.(*http2.PingFrame)
			return ok && p.IsAck() && p.Data == [8]byte{byte(i), byte(i >> 8)}
		})
	}
	f.Rude = false
	f.Check(f.WriteSettingsAck())
	stream := f.Ask(false, "POST", unaryPath, "content-type: application/grpc", "te: trailers")
	f.Check(f.WriteData(stream, true, proxytest.GRPCMessage(nil)))
	r, body := f.ReadResponse(stream)
	proxytest.Same(t, "HTTP status", r.StatusCode, 200)
	proxytest.Same(t, "bytes of content", len(body), 5)
}
