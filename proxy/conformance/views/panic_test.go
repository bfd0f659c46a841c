package views_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// panicky is a filter that panics at the stage that a request's path names.
func panicky(next filter.Handler) filter.Handler {
	return func(x *filter.Exchange) error {
		stage := string(x.Request.Path())
		if stage == "/before" {
			panic("before the route")
		}
		x.Body, x.Writer = &panickyBody{x.Body, panicAt(stage)}, &panickyWriter{x.Writer, panicAt(stage)}
		err := next(x)
		if stage == "/after" {
			panic("after the route")
		}
		return err
	}
}

// panicAt is the stage at which it panics.
type panicAt string

func (at panicAt) panics(stage string) {
	if at == panicAt("/"+stage) {
		panic("in the " + stage)
	}
}

type panickyBody struct {
	filter.Body
	panicAt
}

type panickyWriter struct {
	filter.Writer
	panicAt
}

func (c *panickyBody) Whole() ([]byte, bool) {
	c.panics("content")
	return c.Body.Whole()
}

func (c *panickyBody) Next() ([]byte, error) {
	c.panics("upload")
	return c.Body.Next()
}

func (c *panickyWriter) Head(h *message.Head) error {
	if h.Status == 200 { // and not the answer to the panic
		c.panics("head")
	}
	c.panics("answer")
	return c.Writer.Head(h)
}

func (c *panickyWriter) Content(piece []byte) error {
	if c.panicAt == "/response" {
		c.Writer.Content(piece[:1])
		c.Writer.Flush()
	}
	c.panics("response")
	return c.Writer.Content(piece)
}

func (c *panickyWriter) Interim(h *message.Head) error {
	c.panics("interim")
	return c.Writer.Interim(h)
}

// TestPanicCostsOneRequest panics at each stage: the request fails and says so in every
// view, what it held is given back, and others go on.
func TestPanicCostsOneRequest(t *testing.T) {
	for _, tt := range []struct {
		stage  string
		status int // 0 where the response is cut off, or none comes
		change func(*proxytest.Settings)
	}{
		{stage: "before", status: 500},
		{stage: "head", status: 500},
		{stage: "upload", status: 500},
		{stage: "interim", status: 500},
		{stage: "content"}, // which the answer asks for, too
		{stage: "response"},
		{stage: "answer"},
		{stage: "interim", status: 500, change: proxytest.Hedging(2)},
	} {
		for _, down := range proxytest.Sides[:2] {
			for _, up := range proxytest.Sides[:2] {
				name := tt.stage
				if tt.change != nil {
					name += " of a race"
				}
				t.Run(name+" from "+down.Name+" to "+up.Name, func(t *testing.T) {
					proxytest.NoLeaks(t)
					p := proxytest.StartScript(t, up, 2, func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/interim" {
							w.WriteHeader(103)
							<-r.Context().Done() // the proxy gives it up
						}
						proxytest.Echo(w, r)
					})
					change := tt.change
					if change == nil {
						change = func(*proxytest.Settings) {}
					}
					l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(up), change, func(s *proxytest.Settings) { s.Filters = []filter.Filter{panicky} })
					transport := &http.Transport{Protocols: down.Protocols()}
					defer transport.CloseIdleConnections()
					ask := func(stage string) (int, string, error) {
						method, content := "GET", io.Reader(nil)
						if stage == "upload" {
							method, content = "POST", struct{ io.Reader }{strings.NewReader(proxytest.Pattern(100_000))}
						}
						r, _ := http.NewRequestWithContext(proxytest.WithinPatience(t), method, "http://"+l.Ingress()+"/"+stage, content)
						resp, err := transport.RoundTrip(r)
						if err != nil {
							return 0, "", err
						}
						defer resp.Body.Close()
						b, err := io.ReadAll(resp.Body)
						return resp.StatusCode, string(b), err
					}
					status, body, err := ask(tt.stage)
					switch {
					case tt.status != 0 && (status != tt.status || err != nil || !strings.Contains(body, "PANIC")):
						t.Errorf("status %d, %v, %q", status, err, body)
					case tt.status == 0 && err == nil:
						t.Errorf("status %d, %q, and no error", status, body)
					}
					if status, body, err := ask("fine"); status != 200 || body != "/fine " {
						t.Errorf("the next request: %d, %q, %v", status, body, err)
					}
					for _, name := range []string{"hopscope_downstream_requests_active", "hopscope_upstream_requests_active", "hopscope_retries_active"} {
						proxytest.Eventually(t, name+" being 0", func() bool { return l.Scrape().Sum(name) == 0 })
					}
					proxytest.Eventually(t, "no connection to an endpoint being in use", func() bool {
						return l.Scrape().Sum("hopscope_upstream_connections", "state", "active") == 0
					})
					if n := l.Scrape().Sum("hopscope_panics_total"); n < 1 {
						t.Errorf("%v panics counted", n)
					}
					v := l.End(2)
					one := v.By("flags", "PANIC")
					if !strings.Contains(one.Text("failure_reason"), "panicked") || one.Text("failed_hop") != "front" {
						t.Errorf("the line is %v", one)
					}
					if n := strings.Count(l.Said.String(), "panicAt.panics"); tt.stage != "before" && n == 0 {
						t.Errorf("the log has no stack: %s", l.Said.String())
					}
					transport.CloseIdleConnections()
				})
			}
		}
	}
}

// TestManyPanicsAreNotReady: a proxy that panics again and again says so.
func TestManyPanicsAreNotReady(t *testing.T) {
	l := proxytest.StartWithViews(t, proxytest.Answering(t, func(string, []string) string { return proxytest.OKResponse }), func(s *proxytest.Settings) { s.Filters = []filter.Filter{panicky} })
	ready := func() int {
		r, _ := http.NewRequestWithContext(context.Background(), "GET", "http://"+l.AdminAddr().String()+"/ready", nil)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(resp)
		return resp.StatusCode
	}
	for i := range 10 {
		if r := proxytest.Ask(t, l.Ingress(), "GET /before HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); r.StatusCode != 500 {
			t.Fatal(fmt.Sprint(i), r.Status)
		}
	}
	proxytest.Same(t, "ready after ten", ready(), 200)
	proxytest.Ask(t, l.Ingress(), "GET /before HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	proxytest.Same(t, "ready after eleven", ready(), 503)
}
