package envoy_test

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// outcome is what became of a request.
type outcome struct {
	Status   int
	Cluster  string   // "" where the proxy answered
	Target   string   // that the endpoint was asked for
	Host     string   // that the endpoint was asked for
	Fields   []string // that the endpoint got, "name: value", but for the proxies' own
	Route    string   // what the response says of it
	Response []string // fields of the response that routes change, "name: value"
	Location string
	GRPC     string // grpc-status
	Body     string // of an answer that a route has; pages of errors are each proxy's own
}

// startEndpoints runs an endpoint of each cluster, which says what it sees.
func startEndpoints(t *testing.T) map[string]string {
	t.Helper()
	clusters := map[string]string{}
	for i := range mostRoutes + 1 {
		name := fmt.Sprintf("r%d", i)
		if i == mostRoutes {
			name = idle
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			o := outcome{Cluster: name, Target: r.RequestURI, Host: r.Host}
			for name, values := range r.Header {
				// White space around a value is no part of it (RFC 9110 section 5.5); HTTP/2 does not
				// take it away.
				for i := range values {
					values[i] = strings.Trim(values[i], " \t")
				}
				// Whether the lines of a field are joined, and one that is empty is sent, is the
				// proxy's choice (RFC 9110 sections 5.3 and 5.6.1).
				if len(values) > 1 {
					values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
				}
				o.Fields = append(o.Fields, strings.ToLower(name)+": "+strings.Join(values, ","))
			}
			text, _ := json.Marshal(o)
			w.Header().Set("X-Up", "up")
			w.Header().Set("X-Fixed", "fixed")
			w.Header().Set("X-Seen", base64.StdEncoding.EncodeToString(text))
			if grpcKind.MatchString(r.Header.Get("Content-Type")) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
				_, _ = w.Write(make([]byte, 5)) // an empty message
			}
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		clusters[name] = s.Listener.Addr().String()
	}
	return clusters
}

// client asks one proxy, on connections that it keeps as long as that does.
type client struct {
	address string
	conn    net.Conn // of HTTP/1.1
	read    *bufio.Reader
	http2   *http2Conn
}

// response is one of either protocol. One of status 0 is none: the request was taken for
// malformed, and its stream or its connection ended.
type response struct {
	status          int
	header, trailer http.Header
	body            string
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	if c.http2 != nil {
		c.http2.conn.Close()
		c.http2 = nil
	}
}

func (c *client) ask(q *request) (o outcome, err error) {
	var resp response
	if q.form == overHTTP1 {
		resp, err = c.askHTTP1(q)
	} else {
		resp, err = c.askHTTP2(q)
	}
	if err != nil {
		c.close()
		return o, err
	}
	if seen := resp.header.Get("X-Seen"); seen != "" {
		text, err := base64.StdEncoding.DecodeString(seen)
		if err != nil {
			return o, err
		}
		if err := json.Unmarshal(text, &o); err != nil {
			return o, err
		}
	}
	o.Status, o.Location, o.GRPC = resp.status, resp.header.Get("Location"), cmp.Or(resp.header.Get("Grpc-Status"), resp.trailer.Get("Grpc-Status"))
	if strings.HasPrefix(resp.body, answerText) {
		o.Body = resp.body
	}
	o.Route = resp.header.Get("X-Route")
	for _, name := range []string{"X-A", "X-B", "X-Up", "X-New", "X-Other"} {
		if values := resp.header.Values(name); len(values) > 0 {
			o.Response = append(o.Response, name+": "+strings.TrimRight(strings.Join(values, ","), " "))
		}
	}
	o.Fields = slices.DeleteFunc(o.Fields, func(f string) bool { return slices.Contains(ownFields, nameOf(f)) })
	slices.Sort(o.Fields)
	return o, nil
}

func (c *client) askHTTP1(q *request) (r response, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.address); err != nil {
			return r, err
		}
		c.read = bufio.NewReader(c.conn)
	}
	text := q.method + " " + q.target + " HTTP/1.1\r\nHost: " + q.host + "\r\n"
	if q.method == "POST" || q.method == "PUT" {
		text += "Content-Length: 0\r\n"
	}
	for _, f := range q.fields {
		text += f + "\r\n"
	}
	if err := c.conn.SetDeadline(time.Now().Add(proxytest.Patience)); err != nil {
		return r, err
	}
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		return r, err
	}
	resp, err := http.ReadResponse(c.read, &http.Request{Method: q.method})
	if err != nil {
		return r, err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.close()
	}
	return response{resp.StatusCode, resp.Header, resp.Trailer, string(body)}, err
}
