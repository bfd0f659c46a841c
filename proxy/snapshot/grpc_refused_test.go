package snapshot_test

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

	"github.com/hopscope/hopscope/telemetry/headers"
)

// refusingOnce is an endpoint that refuses its first call, and answers the others
// with one empty response.
func refusingOnce(t *testing.T, refuse func(f *framed, stream uint32)) string {
	calls := make(chan int, 1)
	calls <- 0
	return framedEndpoint(t, func(_ int, f *framed) {
		for {
			stream, ok := f.request()
			if !ok {
				return
			}
			n := <-calls
			calls <- n + 1
			if n == 0 {
				refuse(f, stream)
				continue
			}
			f.headers(stream, false, f.encode(":status: 200", "content-type: application/grpc"))
			f.check(f.WriteData(stream, false, lengthPrefixed(nil)))
			f.headers(stream, true, f.encode("grpc-status: 0"))
		}
	})
}

// A call that the endpoint says it did not begin is sent once more, be it over or
// not: as long as the proxy has all that was read of it.
func TestRefusedCalls(t *testing.T) {
	for name, refuse := range map[string]func(f *framed, stream uint32){
		"GOAWAY": func(f *framed, _ uint32) { f.check(f.WriteGoAway(0, http2.ErrCodeNo, nil)) },
		"REFUSED_STREAM": func(f *framed, stream uint32) {
			f.check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
		},
	} {
		h2c := func(s *settings) { s.Cluster.Protocol = "http2" }
		t.Run(name+" unary", func(t *testing.T) {
			t.Parallel()
			l := startLab(t, refusingOnce(t, refuse), h2c)
			client := h2Client(t, nil)
			r, body := postCall(t, client, "http://"+l.ingress()+unaryPath, bytes.NewReader(lengthPrefixed(nil)))
			same(t, "grpc-status", r.Header.Get("Grpc-Status")+r.Trailer.Get("Grpc-Status"), "0")
			same(t, "bytes of content", len(body), 5)
			one := l.end(1).lines[0]
			same(t, "flags", one["flags"], nil)
			attempts := one["attempts"].([]any)
			same(t, "attempts", len(attempts), 2)
			same(t, "flags of the first", line(attempts[0].(map[string]any)).text("flags"), "UR")
		})
		for _, sent := range []int{0, 1, 3} { // messages, before the call is refused
			t.Run(fmt.Sprint(name, " stream, ", sent, " messages"), func(t *testing.T) {
				t.Parallel()
				ready := make(chan struct{})
				address := framedEndpoint(t, callsAfter(t, ready, func(f *framed, stream uint32) {
					for have := 0; have < sent*messageSize; {
						frame := f.until("messages", func(frame http2.Frame) bool { _, ok := frame.(*http2.DataFrame); return ok })
						have += len(frame.(*http2.DataFrame).Data())
					}
					refuse(f, stream)
				}))
				l := startLab(t, address, h2c)
				conn := dialCalls(t, l.ingress(), nil)
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
				one := l.end(1).lines[0]
				same(t, "flags", one["flags"], nil)
				same(t, "attempts", len(one["attempts"].([]any)), 2)
				same(t, "bytes_in", one["bytes_in"].(float64), float64((sent+1)*messageSize))
			})
		}
	}
}

// messageSize is that of a StreamingInputCallRequest with 1,000 bytes of payload.
const messageSize = 5 + 1006

// callsAfter refuses the first call, and counts the messages of the second, once it
// has told that it is there.
func callsAfter(t *testing.T, ready chan struct{}, refuse func(f *framed, stream uint32)) func(int, *framed) {
	calls := make(chan int, 1)
	calls <- 0
	return func(_ int, f *framed) {
		for {
			stream, ok := f.request()
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
			f.until("the end of the call", func(frame http2.Frame) bool {
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
			f.headers(stream, false, f.encode(":status: 200", "content-type: application/grpc"))
			f.check(f.WriteData(stream, false, lengthPrefixed(text)))
			f.headers(stream, true, f.encode("grpc-status: 0"))
		}
	}
}

// A response that ends within a message ends with a status all the same, and
// nobody takes what came for the whole.
func TestEndsWithinAMessage(t *testing.T) {
	t.Parallel()
	had := make(chan struct{})
	l := startLab(t, h2cServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write(lengthPrefixed(make([]byte, 100))[:50])
		w.(http.Flusher).Flush()
		<-had
		panic(http.ErrAbortHandler)
	}), func(s *settings) { s.Cluster.Protocol = "http2" })
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+l.ingress()+unaryPath, bytes.NewReader(lengthPrefixed(nil)))
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
	same(t, "grpc-status", resp.Trailer.Get("Grpc-Status"), "14")
	failed, _, _ := headers.Failure(parseMembers(t, resp.Trailer))
	same(t, "who failed by the response", failed, "front")
	one := l.end(1).lines[0]
	same(t, "flags", one.text("flags"), "UR")
	same(t, "grpc_status_name", one.text("grpc_status_name"), "UNAVAILABLE")
}

// What breaks off a stream on its way to a browser is in the trailers as well.
func TestGRPCWebBreaksOff(t *testing.T) {
	t.Parallel()
	address, _ := neverAnswers(t)
	for _, text := range []bool{false, true} {
		l := startLab(t, address, func(s *settings) {
			s.Cluster.Protocol, s.Route.Timeout = "http2", 80*time.Millisecond
		})
		for _, speaks := range sides[:2] {
			client := h2Client(t, nil)
			if !speaks.http2 {
				client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			}
			w := &webClient{client, "http://" + l.ingress(), text}
			a := w.ask(t, outputPath, &pb.StreamingOutputCallRequest{})
			same(t, "responses", len(a.messages), 1)
			same(t, "the status was in the head", a.inHead, false)
			same(t, "grpc-status", a.end.Get("Grpc-Status"), "4")
			failed, _, _ := headers.Failure(parseMembers(t, a.end))
			same(t, "who failed by the response", failed, "front")
			client.CloseIdleConnections()
		}
		v := l.end(2)
		same(t, "calls counted", v.metrics.sum("hopscope_requests_total", "grpc_status", "DEADLINE_EXCEEDED", "flag", "UT"), 2)
	}
}

// A client that pings to see whether the connection is alive gets its answers, and
// may go on with its calls.
func TestKeepAliveIsNoFlood(t *testing.T) {
	t.Parallel()
	const pings = 300
	x := startCalls(t, wirings[0], &callee{})
	x.conn.Close()
	f := dialFramed(t, x.ingress())
	f.rude = true // it answers nothing by itself, and all frames are seen
	for i := range pings {
		f.check(f.WritePing(false, [8]byte{byte(i), byte(i >> 8)}))
		f.until("the answer to a PING", func(frame http2.Frame) bool {
			p, ok := frame.(*http2.PingFrame)
			return ok && p.IsAck() && p.Data == [8]byte{byte(i), byte(i >> 8)}
		})
	}
	f.rude = false
	f.check(f.WriteSettingsAck())
	stream := f.ask(false, "POST", unaryPath, "content-type: application/grpc", "te: trailers")
	f.check(f.WriteData(stream, true, lengthPrefixed(nil)))
	r, body := f.response(stream)
	same(t, "HTTP status", r.StatusCode, 200)
	same(t, "bytes of content", len(body), 5)
}
