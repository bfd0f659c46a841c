package envoy_test

import (
	"bufio"
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
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			o := outcome{Cluster: name, Target: r.RequestURI, Host: r.Host}
			for name, values := range r.Header {
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
		}))
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		clusters[name] = s.Listener.Addr().String()
	}
	return clusters
}

// client asks one proxy, on a connection that it keeps as long as that does.
type client struct {
	address string
	conn    net.Conn
	read    *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) ask(q *request) (o outcome, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.address); err != nil {
			return o, err
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
		return o, err
	}
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		c.close()
		return o, err
	}
	resp, err := http.ReadResponse(c.read, &http.Request{Method: q.method})
	if err != nil {
		c.close()
		return o, err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close || err != nil {
		c.close()
	}
	if seen := resp.Header.Get("X-Seen"); seen != "" {
		text, err := base64.StdEncoding.DecodeString(seen)
		if err != nil {
			return o, err
		}
		if err := json.Unmarshal(text, &o); err != nil {
			return o, err
		}
	}
	if o.Status, o.Location, o.GRPC = resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("Grpc-Status"); strings.HasPrefix(string(body), answerText) {
		o.Body = string(body)
	}
	o.Route = resp.Header.Get("X-Route")
	for _, name := range []string{"X-A", "X-B", "X-Up", "X-New", "X-Other"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			o.Response = append(o.Response, name+": "+strings.Join(values, ","))
		}
	}
	o.Fields = slices.DeleteFunc(o.Fields, func(f string) bool { return slices.Contains(ownFields, nameOf(f)) })
	slices.Sort(o.Fields)
	return o, err
}
