package tls_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestTLSDrain: over TLS, too, nothing new is accepted, what is idle ends at once,
// what shakes hands ends, and what is in flight ends in good order.
func TestTLSDrain(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	arrived, answer := make(chan struct{}), make(chan struct{})
	rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			arrived <- struct{}{}
			<-answer
		}
		fmt.Fprint(w, "hello")
	}), func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, cert) })
	c := ca.ClientConfig("web.test")
	idle, used, waits := proxytest.DialTLS(t, rig.Ingress(), c), proxytest.DialTLS(t, rig.Ingress(), c), proxytest.DialTLS(t, rig.Ingress(), c)
	used.Send(proxytest.RootRequest)
	used.ReadOK()
	waits.Send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	silent, begun := rig.Dial(), rig.Dial()
	begun.Send("\x16\x03\x01\x02\x00\x01\x00")
	begun.AwaitRead()

	wait := rig.BeginClose(proxytest.Patience)
	for name, p := range map[string]*proxytest.TLSPeer{"idle": idle, "idle after a request": used} {
		if rest, err := p.ReadRest(); rest != "" || err != nil { // nil is a close_notify
			t.Errorf("%s: %q, %v", name, rest, err)
		}
		p.Close()
	}
	silent.ReadRest()
	silent.Close()
	begun.ReadRest()
	begun.Close()
	close(answer)
	resp, body := waits.ReadResponse("GET")
	proxytest.Same(t, "in flight: content", body, "hello")
	proxytest.Same(t, "in flight: the connection is to end", resp.Close, true)
	if rest, err := waits.ReadRest(); rest != "" || err != nil {
		t.Errorf("in flight: then %q, %v", rest, err)
	}
	waits.Close()
	wait()
	for _, s := range rig.Traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Failure.Reason)
		}
	}
}

// TestHTTP2Drain: clients are told by GOAWAY, streams in flight end in good order,
// and then the connection does, plain or over TLS.
func TestHTTP2Drain(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			arrived, answer := make(chan struct{}), make(chan struct{})
			rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/waits":
					arrived <- struct{}{}
					<-answer
					fmt.Fprint(w, "hello")
				case "/uploads":
					arrived <- struct{}{}
					io.Copy(w, r.Body)
				}
			}), func(s *proxytest.Settings) {
				if secure {
					proxytest.ListenTLS(&s.Listener, cert)
				}
			})
			dial := func() *proxytest.HTTP2Peer {
				if !secure {
					return proxytest.DialHTTP2(t, rig.Ingress())
				}
				return proxytest.DialHTTP2TLS(t, rig.Ingress(), ca.ClientConfig("web.test"))
			}
			idle, busy := dial(), dial()
			proxytest.Same(t, "status", idle.Get("/").StatusCode, 200)
			waits, uploads := busy.Ask(true, "GET", "/waits"), busy.Ask(false, "POST", "/uploads")
			<-arrived
			<-arrived

			wait := rig.BeginClose(proxytest.Patience)
			code, told := idle.ReadEnd()
			proxytest.Same(t, "idle: there is a GOAWAY", told, true)
			proxytest.Same(t, "idle: code", code, http2.ErrCodeNo)
			idle.Close()
			goAway := busy.Until("GOAWAY", proxytest.IsGoAway).(*http2.GoAwayFrame)
			proxytest.Same(t, "busy: the first GOAWAY refuses nothing yet", goAway.LastStreamID, 1<<31-1)
			proxytest.Same(t, "busy: code", goAway.ErrCode, http2.ErrCodeNo)
			goAway = busy.Until("the last GOAWAY", proxytest.IsGoAway).(*http2.GoAwayFrame)
			proxytest.Same(t, "busy: the last stream that is served", goAway.LastStreamID, uploads)
			late := busy.Ask(true, "GET", "/late")
			proxytest.Same(t, "a stream that comes too late", busy.ReadReset(late), http2.ErrCodeRefusedStream)
			busy.Check(busy.WriteData(uploads, true, []byte("content")))
			resp, body := busy.ReadResponse(uploads)
			proxytest.Same(t, "upload: status", resp.StatusCode, 200)
			proxytest.Same(t, "upload: content", body, "content")
			close(answer)
			_, body = busy.ReadResponse(waits)
			proxytest.Same(t, "in flight: content", body, "hello")
			if _, err := busy.ReadNext(); err != io.EOF { // over TLS that is a close_notify
				t.Errorf("the connection ends with %v", err)
			}
			busy.Close()
			wait()
			for _, s := range rig.Traces() {
				if s.Flags != 0 || s.Status != 200 {
					t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Failure.Reason)
				}
			}
		})
	}
}

// TestHTTP2DrainLimit cuts streams that do not end by themselves, on both sides.
func TestHTTP2DrainLimit(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert, api := ca.Issue("web.test"), ca.Issue("127.0.0.1")
	arrived := make(chan struct{})
	rig := proxytest.Start(t, proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(api)}}, true, func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 1000))
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		<-r.Context().Done()
	}), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, cert)
		proxytest.UseTLS(s, ca.File)
	})
	f := proxytest.DialHTTP2TLS(t, rig.Ingress(), ca.ClientConfig("web.test"))
	defer f.Close()
	for range 2 {
		f.Ask(true, "GET", "/")
		<-arrived
	}
	rig.BeginClose(proxytest.Soon)()
	f.Drain()
	proxytest.Same(t, "hops", len(rig.Traces()), 2)
}
