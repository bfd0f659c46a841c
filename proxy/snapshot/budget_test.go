package snapshot_test

import (
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// Idle connections make room for those that come, where a listener has as many as it
// may have: one of HTTP/1 is closed, one of HTTP/2 told to come back.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	noLeaks(t)
	rig := startProxy(t, goServer(t, echo), func(s *settings) { s.Listener.MaxConnections = 2 })
	address := rig.proxy.Addr("ingress").String()
	served := func() *peer {
		p := dialPeer(t, address)
		p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		r, _ := p.response("GET")
		same(t, "status", r.StatusCode, 200)
		return p
	}
	first, second := served(), dialFramed(t, address)
	defer second.close()
	same(t, "status over HTTP/2", second.get("/row").StatusCode, 200)
	firstEnded, secondEnded := make(chan error, 1), make(chan struct{})
	go func() {
		first.SetReadDeadline(timeLimit())
		_, err := first.r.ReadByte()
		firstEnded <- err
	}()
	var code http2.ErrCode
	var told bool
	go func() {
		defer close(secondEnded)
		code, told = second.ended()
	}()
	// A client has its response a moment before its connection is idle.
	last := served()
	for ended := 0; ended < 2; {
		select {
		case err := <-firstEnded:
			same(t, "how the first ended", err, io.EOF)
			ended++
		case <-secondEnded:
			same(t, "there is a GOAWAY", told, true)
			same(t, "code of GOAWAY", code, http2.ErrCodeNo)
			secondEnded = nil
			ended++
		default:
			last = served()
		}
	}
	last.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r, _ := last.response("GET")
	same(t, "status of a second request", r.StatusCode, 200)
}

// A listener whose connections are all busy has further ones wait, and serves them when
// there is room.
func TestBusyConnectionsMakeNoRoom(t *testing.T) {
	noLeaks(t)
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	rig := startProxy(t, goServer(t, waiting(arrived, release)), func(s *settings) { s.Listener.MaxConnections = 1 })
	address := rig.proxy.Addr("ingress").String()
	busy := dialPeer(t, address)
	busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	waits := dialPeer(t, address)
	waits.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	close(release)
	for _, p := range []*peer{busy, waits} {
		r, _ := p.response("GET")
		same(t, "status", r.StatusCode, 200)
	}
}

// waiting answers when it is told to.
func waiting(arrived, release chan struct{}) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}
}
