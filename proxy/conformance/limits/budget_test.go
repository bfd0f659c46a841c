package limits_test

import (
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Idle connections make room for those that come, where a listener has as many as it
// may have: one of HTTP/1 is closed, one of HTTP/2 told to come back.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) { s.Listener.MaxConnections = 2 })
	address := rig.Addr("ingress").String()
	served := func() *proxytest.Peer {
		p := proxytest.Dial(t, address)
		p.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		r, _ := p.ReadResponse("GET")
		proxytest.Same(t, "status", r.StatusCode, 200)
		return p
	}
	first, second := served(), proxytest.DialHTTP2(t, address)
	defer second.Close()
	proxytest.Same(t, "status over HTTP/2", second.Get("/row").StatusCode, 200)
	firstEnded, secondEnded := make(chan error, 1), make(chan struct{})
	go func() {
		first.SetReadDeadline(proxytest.Deadline())
		_, err := first.Reader.ReadByte()
		firstEnded <- err
	}()
	var code http2.ErrCode
	var told bool
	go func() {
		defer close(secondEnded)
		code, told = second.ReadEnd()
	}()
	// A client has its response a moment before its connection is idle.
	last := served()
	for ended := 0; ended < 2; {
		select {
		case err := <-firstEnded:
			proxytest.Same(t, "how the first ended", err, io.EOF)
			ended++
		case <-secondEnded:
			proxytest.Same(t, "there is a GOAWAY", told, true)
			proxytest.Same(t, "code of GOAWAY", code, http2.ErrCodeNo)
			secondEnded = nil
			ended++
		default:
			last = served()
		}
	}
	last.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r, _ := last.ReadResponse("GET")
	proxytest.Same(t, "status of a second request", r.StatusCode, 200)
}

// A listener whose connections are all busy has further ones wait, and serves them when
// there is room.
func TestBusyConnectionsMakeNoRoom(t *testing.T) {
	proxytest.NoLeaks(t)
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	rig := proxytest.Start(t, proxytest.Serve(t, waiting(arrived, release)), func(s *proxytest.Settings) { s.Listener.MaxConnections = 1 })
	address := rig.Addr("ingress").String()
	busy := proxytest.Dial(t, address)
	busy.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	waits := proxytest.Dial(t, address)
	waits.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	close(release)
	for _, p := range []*proxytest.Peer{busy, waits} {
		r, _ := p.ReadResponse("GET")
		proxytest.Same(t, "status", r.StatusCode, 200)
	}
}

// waiting answers when it is told to.
func waiting(arrived, release chan struct{}) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}
}
