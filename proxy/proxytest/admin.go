package proxytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Admin gets a page of the admin API.
func (l *Proxy) Admin(path, accept string) string {
	l.T.Helper()
	r, err := http.NewRequest("GET", "http://"+l.AdminAddr().String()+path, nil)
	if err != nil {
		l.T.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		l.T.Fatalf("GET %s: %s, %v: %.200s", path, resp.Status, err, b)
	}
	return string(b)
}

// AdminJSON asks the admin API, and returns the status of the answer.
func (l *Proxy) AdminJSON(path string, into any) (status int) {
	l.T.Helper()
	status, body := l.Call("GET", "http://"+l.AdminAddr().String()+path, "")
	if err := json.Unmarshal([]byte(body), into); err != nil {
		l.T.Fatalf("%s: %v in %s", path, err, body)
	}
	return status
}

// Call makes a request, on a connection of its own.
func (l *Proxy) Call(method, url, host string) (status int, body string) {
	l.T.Helper()
	r, err := http.NewRequestWithContext(l.T.Context(), method, url, nil)
	if err != nil {
		l.T.Fatal(err)
	}
	r.Host = host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.T.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		l.T.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// AskHost makes a request of the proxy for a host.
func (l *Proxy) AskHost(host, path string) (status int, body string) {
	l.T.Helper()
	return l.Call("GET", "http://"+l.Ingress()+path, host)
}

// AwaitAnswer waits until a host is answered in this way.
func (l *Proxy) AwaitAnswer(host, path string, status int, part string) {
	l.T.Helper()
	var got int
	var body string
	Eventually(l.T, fmt.Sprintf("%s%s answering %d %q", host, path, status, part), func() bool {
		got, body = l.AskHost(host, path)
		return got == status && strings.Contains(body, part)
	})
}

// ClusterCounts is what /clusters says of what is under way.
type ClusterCounts struct {
	Name      string `json:"name"`
	Requests  int64  `json:"requests_active"`
	Retries   int64  `json:"retries_active"`
	Retried   uint64 `json:"retries_total"`
	Refused   uint64 `json:"retries_refused_total"`
	Endpoints []struct {
		Address string `json:"address"`
		Active  int64  `json:"requests_active"`
	} `json:"endpoints"`
	Connections struct {
		Active  int `json:"active"`
		Idle    int `json:"idle"`
		Pending int `json:"requests_pending"`
	} `json:"connections"`
}

// Counts is what /clusters says of the cluster "web".
func (l *Proxy) Counts() (c ClusterCounts) {
	l.T.Helper()
	text := l.Admin("/clusters", "application/json")
	var list []ClusterCounts
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		l.T.Fatalf("/clusters: %v in %.200s", err, text)
	}
	for _, c := range list {
		if c.Name == "web" {
			return c
		}
	}
	l.T.Fatalf("/clusters has no web: %.200s", text)
	return c
}
