package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/hopscope/hopscope/attack"
)

// endpoint is what the proxies stand in front of; see [places].
type endpoint struct {
	address, stalled, refused, echo, endless string

	server, echoing http.Server
	silent          net.Listener
	cancel          context.CancelFunc

	mu    sync.Mutex
	conns []net.Conn
}

func startEndpoint() (*endpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	endless, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &endpoint{address: l.Addr().String(), echo: echo.Addr().String(), endless: endless.Addr().String()}
	if e.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	e.stalled = e.silent.Addr().String()
	if err := freeAddresses(&e.refused); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go attack.EndlessInterim(ctx, endless)
	e.echoing.Handler = http.HandlerFunc(attack.EchoFields)
	go e.echoing.Serve(echo)
	large := strings.Repeat("x", 1<<20)
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, large) })
	e.server.Handler = mux
	go e.server.Serve(l)
	go func() {
		for {
			c, err := e.silent.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns = append(e.conns, c)
			e.mu.Unlock()
		}
	}()
	return e, nil
}

func (e *endpoint) close() {
	e.cancel()
	e.server.Close()
	e.echoing.Close()
	e.silent.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.conns {
		c.Close()
	}
}
