package snapshot

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// request is a request to be explained, as it comes in.
type request struct {
	line        string   // for people
	lines       []string // its first line, and its fields
	scheme      string   // "" if the URL has none
	port        string   // that the URL has, "" for none
	client      netip.Addr
	certificate *x509.Certificate
	http2       bool
}

// readRequest reads what is asked. Whether it is HTTP is for the data plane's decoder to say.
func readRequest(asked *explain.Request) (*request, error) {
	in := &request{http2: asked.HTTP2}
	var err error
	if in.client, err = netip.ParseAddr(cmp.Or(asked.Client, "127.0.0.1")); err != nil {
		return nil, fmt.Errorf("client: expected an address such as 10.1.2.3, found %q", asked.Client)
	}
	if asked.Identity != "" {
		in.certificate = &x509.Certificate{}
		if u, err := url.Parse(asked.Identity); err == nil && u.Scheme != "" {
			in.certificate.URIs = []*url.URL{u}
		} else {
			in.certificate.DNSNames = []string{asked.Identity}
		}
	}
	method := cmp.Or(asked.Method, "GET")
	host, target := "", asked.URL
	if scheme, rest, ok := strings.Cut(asked.URL, "://"); ok {
		in.scheme = strings.ToLower(scheme)
		if in.scheme != "http" && in.scheme != "https" {
			return nil, fmt.Errorf("url: expected http or https, found %q", scheme)
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if host, target = rest[:end], rest[end:]; !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	} else if method == "CONNECT" {
		host = target
	} else if target != "*" && !strings.HasPrefix(target, "/") {
		return nil, fmt.Errorf("url: expected http://host/path or a path such as /cart/7, found %q", asked.URL)
	}
	target, _, _ = strings.Cut(target, "#") // no client sends it
	_, in.port, _ = net.SplitHostPort(host)
	in.line = method + " " + asked.URL
	in.lines = []string{method + " " + target + endHTTP11}
	if in.http2 {
		in.lines[0] = method + " " + target + endHTTP2
	}
	named := slices.ContainsFunc(asked.Headers, func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(strings.TrimSpace(name), "host")
	})
	if !named {
		in.add("Host", cmp.Or(host, "localhost"))
	}
	for _, line := range asked.Headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("headers: expected a line such as \"x-user: beta\", found %q", line)
		}
		in.add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	_, err = in.head()
	return in, err
}

// add adds a field. In HTTP/2 its name is in lower case (RFC 9113 section 8.2.1).
func (in *request) add(name, value string) {
	if in.http2 {
		name = strings.ToLower(name)
	}
	in.lines = append(in.lines, name+": "+value)
}

// How the first line of a request ends.
const (
	endHTTP11 = " HTTP/1.1"
	endHTTP2  = " HTTP/2"
)

// head decodes the request's head as a connection does.
func (in *request) head() (*message.Head, error) {
	var d http1.HeadDecoder
	h := new(message.Head)
	lines := slices.Clone(in.lines)
	if in.http2 {
		lines[0] = strings.TrimSuffix(lines[0], endHTTP2) + endHTTP11
	}
	n, err := d.Request([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), h)
	switch {
	case err != nil:
		return nil, fmt.Errorf("this is no request: %s", fault.Of(err).Reason)
	case n == 0:
		return nil, errors.New("this is no request: its head does not end")
	}
	if in.http2 {
		h.Version = hop.HTTP2
		if grpc.IsCall(h) && !h.HasBody() { // every call has content
			h.Framing, h.Length = message.Chunked, -1
		}
	}
	return h, nil
}

// info is what a connection to a listener would know of itself.
func (in *request) info(lc *config.Listener) filter.ConnInfo {
	i := filter.ConnInfo{
		PeerIP: in.client.String(), Peer: net.JoinHostPort(in.client.String(), "50000"), Local: lc.Address,
		Loopback: in.client.Unmap().IsLoopback(), Scheme: "http", Certificate: in.certificate,
	}
	if lc.TLS != nil {
		i.Scheme, i.TLS = "https", &hop.TLS{}
	}
	return i
}

// sentHead are the lines of a head as it goes out. What differs between two dry runs is made
// anew for each request.
func sentHead(one, two string) []string {
	split := func(head string) []string { return strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n") }
	lines, others := split(one), split(two)
	if one == "" {
		return nil
	}
	for i, line := range lines {
		if i > 0 && i < len(others) && line != others[i] {
			name, _, _ := strings.Cut(line, ":")
			lines[i] = name + ": ..."
		}
	}
	return lines
}

// compared are the lines that one head has and the other does not, whatever the case of the
// names.
func compared(came, sent []string) (all []string) {
	key := func(line string) string {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return line
		}
		return strings.ToLower(name) + ":" + value
	}
	missing := func(from, in []string, mark string) {
		left := make([]string, len(in))
		for i := range in {
			left[i] = key(in[i])
		}
		for _, line := range from {
			if i := slices.Index(left, key(line)); i >= 0 {
				left[i] = "\n" // each line stands for one
			} else {
				all = append(all, mark+" "+line)
			}
		}
	}
	missing(came, sent, "-")
	missing(sent, came, "+")
	return all
}
