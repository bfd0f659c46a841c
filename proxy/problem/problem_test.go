package problem

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var trace = hop.TraceID{0x4b, 0xf9, 0x2f, 15: 0x36}

// refused is a failure that those inside are told of.
func refused() *Problem {
	return &Problem{
		Status: 503, Phrase: "Service Unavailable", RequestID: "r-1", Trace: trace,
		Inside: &Inside{
			Kind: "connect_refused", Meaning: "the endpoint refused the connection", Reason: `"bank" said <no>`,
			Service: "payments", Flags: hop.UpstreamConnectionFailure | hop.RetriesExhausted, Link: "http://jaeger/trace/1?a=1&b=2",
			Failure: hop.Failure{Hop: "bank", Caller: "payments", Endpoint: "10.0.0.1:4", Part: hop.PartApplication, Kind: "connect_refused"},
		},
	}
}

// public is one that the public gets.
func public() *Problem {
	p := refused()
	p.Inside = nil
	return p
}

func TestAppendJSON(t *testing.T) {
	unknown := refused()
	unknown.Status, unknown.Phrase, unknown.Inside = 599, "", &Inside{Reason: strings.Repeat("x", 2000)}
	for _, tt := range []struct {
		name string
		of   *Problem
		want map[string]any
	}{
		{"inside", refused(), map[string]any{
			"type":  "https://github.com/hopscope/hopscope/blob/main/docs/flags.md#connect_refused",
			"title": "the endpoint refused the connection", "status": 503.0, "detail": `"bank" said <no>`,
			"instance": "http://jaeger/trace/1?a=1&b=2", "flags": "UF,URX", "request_id": "r-1", "trace_id": "4bf92f00000000000000000000000036",
			"culprit": map[string]any{"service": "bank", "instance": "10.0.0.1:4", "part": "application", "kind": "connect_refused", "edge": "payments -> bank"},
		}},
		{"public", public(), map[string]any{
			"type": "about:blank", "title": "Service Unavailable", "status": 503.0, "request_id": "r-1", "trace_id": "4bf92f00000000000000000000000036",
		}},
		{"nothing known", unknown, map[string]any{
			"type": "about:blank", "title": "Error 599", "status": 599.0, "detail": strings.Repeat("x", 1024), "request_id": "r-1", "trace_id": "4bf92f00000000000000000000000036",
		}},
	} {
		var got map[string]any
		text := tt.of.AppendJSON(nil)
		if err := json.Unmarshal(text, &got); err != nil || bytes.ContainsAny(text, "<>&") {
			t.Errorf("%s: %v: %s", tt.name, err, text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestAppendText(t *testing.T) {
	for _, tt := range []struct {
		of   *Problem
		want string
	}{
		{refused(), "503 Service Unavailable\npayments -> bank: \"bank\" said <no> (UF,URX)\ntrace 4bf92f00000000000000000000000036\nhttp://jaeger/trace/1?a=1&b=2\n"},
		{public(), "503 Service Unavailable\n"},
	} {
		if diff := cmp.Diff(tt.want, string(tt.of.AppendText(nil))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestPage(t *testing.T) {
	hostile := public()
	hostile.RequestID = `"><script>alert(1)</script>` + "\xff"
	for _, tt := range []struct {
		name, page string
		of         *Problem
		inside     bool
		want       string
	}{
		{"public", "<p style='width:100%'>%STATUS% %TITLE%: %REQUEST_ID%, %TRACE_ID%</p>", public(), false,
			"<p style='width:100%'>503 Service Unavailable: r-1, 4bf92f00000000000000000000000036</p>"},
		{"inside", "%FAILED_HOP% %KIND% %FLAGS% %SERVICE%\n%DETAIL%\n<a href=\"%TRACE_LINK%\">", refused(), true,
			"bank connect_refused UF,URX payments\n&#34;bank&#34; said &lt;no&gt;\n<a href=\"http://jaeger/trace/1?a=1&amp;b=2\">"},
		{"inside, of nothing that failed", "[%DETAIL%%TRACE_LINK%]", public(), true, "[]"},
		{"a client's text", "%REQUEST_ID%", hostile, false, "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\uFFFD"},
		{"signs that are none", "% %% %a% %% %STATUS 5%%STATUS%%", public(), false, "% %% %a% %% %STATUS 5%503%"},
	} {
		page, err := ParsePage([]byte(tt.page), tt.inside)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, string(page.Append(nil, tt.of))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPageMistakes(t *testing.T) {
	for _, tt := range []struct{ page, want string }{
		{"", "empty"},
		{"a\nb %REQUESTID% c", "line 2: there is no %REQUESTID%; there are %STATUS%, %TITLE%, %REQUEST_ID%, %TRACE_ID%"},
		{"%DETAIL%", `line 1: %DETAIL% tells what is inside the mesh, and the listener's proxy_status is not "append"`},
		{strings.Repeat("x", MaxPage+1), "more than 65536 bytes"},
		{strings.Repeat("%STATUS%", maxFacts+1), "more than 100 facts"},
	} {
		if _, err := ParsePage([]byte(tt.page), false); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.30q: %v, want %q", tt.page, err, tt.want)
		}
	}
}

func TestPagesFor(t *testing.T) {
	notFound, others := &Page{}, &Page{}
	pages := Pages{{404, 404, notFound}, {400, 499, others}}
	if pages.For(404) != notFound || pages.For(400) != others || pages.For(500) != nil || Pages(nil).For(404) != nil {
		t.Error("the wrong page")
	}
}

// Whatever a page and a client's text hold, what is put in is no markup.
func FuzzPage(f *testing.F) {
	f.Add("<b>%STATUS%</b> %DETAIL% 100%", "<script>")
	f.Fuzz(func(t *testing.T, text, told string) {
		page, err := ParsePage([]byte(text), true)
		if err != nil {
			return
		}
		p := refused()
		p.RequestID, p.Inside.Reason, p.Inside.Failure.Hop, p.Inside.Link = told, told, told, told
		got := page.Append(nil, p)
		if n, most := len(got), len(text)+maxFacts*6*maxText; n > most {
			t.Errorf("%d bytes, of at most %d", n, most)
		}
		if a, b := bytes.Count(got, []byte("<")), strings.Count(text, "<"); a != b {
			t.Errorf("%d tags, and the page has %d: %s", a, b, got)
		}
	})
}
