package attack

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// IdleClients has n clients send a request each to the address, one after the other,
// and keep their connections until ctx ends. It is an error if none of them got an answer.
func IdleClients(ctx context.Context, address string, n int) error {
	return hold(ctx, address, n, func(c net.Conn) error {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: attack\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}

// HeavyCookies has n clients of HTTP/2 without TLS send a request with a cookie of so many
// bytes each, one after the other, and keep their connections until ctx ends. That a
// cookie is refused is no error.
func HeavyCookies(ctx context.Context, address string, n, size int) error {
	cookie := strings.Repeat("c", size)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	for range n {
		client := &http.Transport{Protocols: &protocols}
		defer client.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Cookie", cookie)
		response, err := client.RoundTrip(request)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		response.Body.Close()
	}
	<-ctx.Done()
	return nil
}

// SilentClients has n clients connect to the address, say nothing, and keep their
// connections until ctx ends. It is an error if none of them could connect.
func SilentClients(ctx context.Context, address string, n int) error {
	return hold(ctx, address, n, func(net.Conn) error { return nil })
}

// answerTime is how long an attacker waits for its own answers.
const answerTime = 5 * time.Second

// hold opens connections, does something with each, and keeps those with which that
// went well until ctx ends.
func hold(ctx context.Context, address string, n int, begin func(net.Conn) error) error {
	var first error
	held := 0
	dialer := net.Dialer{Timeout: answerTime}
	for range n {
		c, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			c.SetDeadline(time.Now().Add(answerTime))
			err = begin(c)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			held++
		case first == nil:
			first = err
		}
	}
	if held == 0 && first != nil {
		return first
	}
	<-ctx.Done()
	return nil
}

// Streams has one client send n requests at once to the path of the address, over one
// connection of HTTP/2 without TLS: a proxy that speaks HTTP/1 to its endpoints needs as
// many connections to them. It returns how many had which status when all are answered,
// or ctx ends. The client asks for "/" first, to have the connection.
func Streams(ctx context.Context, address, path string, n int) (map[int]int, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Transport{Protocols: &protocols}
	defer client.CloseIdleConnections()
	ask := func(path string) (status int, err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return 0, err
		}
		response, err := client.RoundTrip(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	if _, err := ask("/"); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	statuses, failures := map[int]int{}, []error(nil)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			status, err := ask(path)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			statuses[status]++
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return statuses, nil
	}
	return statuses, errors.Join(failures...)
}
