package snapshot_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// TestTLSDrain: over TLS, too, nothing new is accepted, what is idle ends at once,
// what shakes hands ends, and what is in flight ends in good order.
func TestTLSDrain(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	arrived, answer := make(chan struct{}), make(chan struct{})
	rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			arrived <- struct{}{}
			<-answer
		}
		fmt.Fprint(w, "hello")
	}), func(s *settings) { listenTLS(&s.Listener, cert) })
	c := ca.trusting("web.test")
	idle, used, waits := dialSecure(t, rig.ingress(), c), dialSecure(t, rig.ingress(), c), dialSecure(t, rig.ingress(), c)
	used.send(getRoot)
	used.ok()
	waits.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	silent, begun := rig.dial(), rig.dial()
	begun.send("\x16\x03\x01\x02\x00\x01\x00")
	begun.taken()

	wait := rig.closing(patience)
	for name, p := range map[string]*securePeer{"idle": idle, "idle after a request": used} {
		if rest, err := p.rest(); rest != "" || err != nil { // nil is a close_notify
			t.Errorf("%s: %q, %v", name, rest, err)
		}
		p.Close()
	}
	silent.rest()
	silent.Close()
	begun.rest()
	begun.Close()
	close(answer)
	resp, body := waits.response("GET")
	same(t, "in flight: content", body, "hello")
	same(t, "in flight: the connection is to end", resp.Close, true)
	if rest, err := waits.rest(); rest != "" || err != nil {
		t.Errorf("in flight: then %q, %v", rest, err)
	}
	waits.Close()
	wait()
	for _, s := range rig.traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Reason)
		}
	}
}

// TestHTTP2Drain: clients are told by GOAWAY, streams in flight end in good order,
// and then the connection does, plain or over TLS.
func TestHTTP2Drain(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			arrived, answer := make(chan struct{}), make(chan struct{})
			rig := startProxy(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/waits":
					arrived <- struct{}{}
					<-answer
					fmt.Fprint(w, "hello")
				case "/uploads":
					arrived <- struct{}{}
					io.Copy(w, r.Body)
				}
			}), func(s *settings) {
				if secure {
					listenTLS(&s.Listener, cert)
				}
			})
			dial := func() *framed {
				if !secure {
					return dialFramed(t, rig.ingress())
				}
				return dialFramedTLS(t, rig.ingress(), ca.trusting("web.test"))
			}
			idle, busy := dial(), dial()
			same(t, "status", idle.get("/").StatusCode, 200)
			waits, uploads := busy.ask(true, "GET", "/waits"), busy.ask(false, "POST", "/uploads")
			<-arrived
			<-arrived

			wait := rig.closing(patience)
			code, told := idle.ended()
			same(t, "idle: there is a GOAWAY", told, true)
			same(t, "idle: code", code, http2.ErrCodeNo)
			idle.close()
			goAway := busy.until("GOAWAY", isGoAway).(*http2.GoAwayFrame)
			same(t, "busy: the first GOAWAY refuses nothing yet", goAway.LastStreamID, 1<<31-1)
			same(t, "busy: code", goAway.ErrCode, http2.ErrCodeNo)
			goAway = busy.until("the last GOAWAY", isGoAway).(*http2.GoAwayFrame)
			same(t, "busy: the last stream that is served", goAway.LastStreamID, uploads)
			late := busy.ask(true, "GET", "/late")
			same(t, "a stream that comes too late", busy.reset(late), http2.ErrCodeRefusedStream)
			busy.check(busy.WriteData(uploads, true, []byte("content")))
			resp, body := busy.response(uploads)
			same(t, "upload: status", resp.StatusCode, 200)
			same(t, "upload: content", body, "content")
			close(answer)
			_, body = busy.response(waits)
			same(t, "in flight: content", body, "hello")
			if _, err := busy.read(); err != io.EOF { // over TLS that is a close_notify
				t.Errorf("the connection ends with %v", err)
			}
			busy.close()
			wait()
			for _, s := range rig.traces() {
				if s.Flags != 0 || s.Status != 200 {
					t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Reason)
				}
			}
		})
	}
}

func isGoAway(frame http2.Frame) bool {
	_, is := frame.(*http2.GoAwayFrame)
	return is
}

// TestHTTP2DrainLimit cuts streams that do not end by themselves, on both sides.
func TestHTTP2DrainLimit(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert, api := ca.issue("web.test"), ca.issue("127.0.0.1")
	arrived := make(chan struct{})
	rig := startProxy(t, secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.load(api)}}, true, func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 1000))
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		<-r.Context().Done()
	}), func(s *settings) {
		listenTLS(&s.Listener, cert)
		speaking(s, ca.File)
	})
	f := dialFramedTLS(t, rig.ingress(), ca.trusting("web.test"))
	defer f.close()
	for range 2 {
		f.ask(true, "GET", "/")
		<-arrived
	}
	rig.closing(soon)()
	f.drain()
	same(t, "hops", len(rig.traces()), 2)
}
