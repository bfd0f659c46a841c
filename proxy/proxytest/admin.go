package proxytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Admin gets a page of the admin API.
func (p *Proxy) Admin(path, accept string) string {
	p.T.Helper()
	r, err := http.NewRequest("GET", "http://"+p.AdminAddr().String()+path, nil)
	if err != nil {
		p.T.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		p.T.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		p.T.Fatalf("GET %s: %s, %v: %.200s", path, resp.Status, err, b)
	}
	return string(b)
}

// AdminJSON asks the admin API, and returns the status of the answer.
func (p *Proxy) AdminJSON(path string, into any) (status int) {
	p.T.Helper()
	status, body := p.Call("GET", "http://"+p.AdminAddr().String()+path, "")
	if err := json.Unmarshal([]byte(body), into); err != nil {
		p.T.Fatalf("%s: %v in %s", path, err, body)
	}
	return status
}

// Call makes a request, on a connection of its own.
func (p *Proxy) Call(method, url, host string) (status int, body string) {
	p.T.Helper()
	r, err := http.NewRequestWithContext(p.T.Context(), method, url, nil)
	if err != nil {
		p.T.Fatal(err)
	}
	r.Host = host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		p.T.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		p.T.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// AskHost makes a request of the proxy for a host.
func (p *Proxy) AskHost(host, path string) (status int, body string) {
	p.T.Helper()
	return p.Call("GET", "http://"+p.Ingress()+path, host)
}

// AwaitAnswer waits until a host is answered in this way.
func (p *Proxy) AwaitAnswer(host, path string, status int, part string) {
	p.T.Helper()
	var got int
	var body string
	Eventually(p.T, fmt.Sprintf("%s%s answering %d %q", host, path, status, part), func() bool {
		got, body = p.AskHost(host, path)
		return got == status && strings.Contains(body, part)
	})
}

// ClusterCounts is what /clusters says of what is under way.
type ClusterCounts struct {
	Name string `json:"name"`
	PriorityCounts
	High      PriorityCounts `json:"high"`
	Endpoints []struct {
		Address string `json:"address"`
		Active  int64  `json:"requests_active"`
		Open    int    `json:"connections_active"`
		Idle    int    `json:"connections_idle"`
	} `json:"endpoints"`
}

// PriorityCounts is what it says of the requests of one priority.
type PriorityCounts struct {
	Requests        int64  `json:"requests_active"`
	RequestsRefused uint64 `json:"requests_refused_total"`
	Retries         int64  `json:"retries_active"`
	Retried         uint64 `json:"retries_total"`
	Refused         uint64 `json:"retries_refused_total"`
	Connections     struct {
		Active  int `json:"active"`
		Idle    int `json:"idle"`
		Pending int `json:"requests_pending"`
		Refused int `json:"refused_total"`
	} `json:"connections"`
}

// Counts is what /clusters says of the cluster "web".
func (p *Proxy) Counts() (c ClusterCounts) {
	p.T.Helper()
	text := p.Admin("/clusters", "application/json")
	var list []ClusterCounts
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		p.T.Fatalf("/clusters: %v in %.200s", err, text)
	}
	for _, c := range list {
		if c.Name == "web" {
			return c
		}
	}
	p.T.Fatalf("/clusters has no web: %.200s", text)
	return c
}
