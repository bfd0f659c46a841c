package collector

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// endpoint is a parsed Options.Endpoint.
type endpoint struct {
	address string // host:port
	secure  bool
	path    string // of the URL; "" for none
}

// parseEndpoint finds mistakes that would show only with the first batch.
func parseEndpoint(o Options) (at endpoint, err error) {
	wrong := func(format string, args ...any) (endpoint, error) {
		return endpoint{}, fmt.Errorf("otlp: endpoint %q %s", redact.URL(o.Endpoint), fmt.Sprintf(format, args...))
	}
	if !strings.Contains(o.Endpoint, "://") {
		if err := checkAddress(o.Endpoint); err != nil {
			return wrong(`is neither "host:port", such as "127.0.0.1:4317", nor a URL: %v`, err)
		}
		return endpoint{address: o.Endpoint, secure: o.TLS != nil}, nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return wrong("is a URL that can't be parsed") // the parser's words may hold a password
	}
	at = endpoint{address: u.Host, path: u.Path}
	switch u.Scheme {
	case "http":
		if o.TLS != nil {
			return wrong("is plain text, but TLS is set: write https://, or leave TLS out")
		}
	case "https":
		at.secure = true
	default:
		return wrong("must begin with http:// or https://")
	}
	switch {
	case u.User != nil:
		return wrong("has a user or a password: send a header in place of it")
	case u.RawQuery != "" || u.Fragment != "":
		return wrong("has a query or a fragment, which OTLP does not have: leave it out")
	case !o.HTTP && at.path != "" && at.path != "/":
		return wrong("has a path, which gRPC does not have: leave it out, or use the protocol http/protobuf")
	}
	if u.Port() == "" {
		port := "80"
		if at.secure {
			port = "443"
		}
		at.address = net.JoinHostPort(u.Hostname(), port)
	}
	if err := checkAddress(at.address); err != nil {
		return wrong("has no address: %v", err)
	}
	return at, nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" {
		return fmt.Errorf("the host is missing")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("the port %q is not between 1 and 65535", port)
	}
	return nil
}
