package views_test

import (
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestColdEndpoint: the attempt that is the first to an endpoint at which nothing had
// listened before says so.
func TestColdEndpoint(t *testing.T) {
	fd, address := proxytest.Bound(t)
	file := os.NewFile(uintptr(fd), address)
	defer file.Close()
	p := proxytest.StartWithViews(t, address)
	ask := func(status int, cold bool) {
		t.Helper()
		c := p.Dial()
		defer c.Close()
		trace, field := proxytest.NewTrace()
		c.Send("GET /row HTTP/1.1\r\nHost: web.test\r\n" + field + "\r\n")
		c.ReadResponse("GET")
		if h := p.Hop(trace); h.Status != status || h.Attempts[0].Cold != cold {
			t.Errorf("it ended with %d, cold is %t; want %d, %t", h.Status, h.Attempts[0].Cold, status, cold)
		}
	}
	ask(503, false)
	if err := syscall.Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(proxytest.Echo)}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	ask(200, true)
	ask(200, false)
	server.Close()
	<-served
}
