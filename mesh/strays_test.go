package mesh

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestFindJoinsBrokenTraces: two traces are shown as one where a proxy knows that they are,
// and a proxy that lies joins nothing else.
func TestFindJoinsBrokenTraces(t *testing.T) {
	other := hop.TraceID{15: 9}
	request := hopOf("web", 1, 0, 500)
	call := hopOf("web", 3, 0, 500)
	call.Trace, call.Labels.Direction = other, hop.Outbound
	callee := hopOf("stock", 5, 4, 500)
	callee.Trace = other
	stranger := hopOf("bank", 7, 0, 500)
	stranger.Trace = hop.TraceID{15: 10}
	stranger.Labels.Direction = hop.Outbound
	parented := hopOf("web", 9, 8, 500)
	parented.Trace = other
	stray := func(of string, h *hop.Hop) string {
		return fmt.Sprintf(`{"for":%q,"hop":%s}`, of, strings.Trim(answerOf(t, h), "[]"))
	}
	web := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/strays":
			io.WriteString(w, "["+stray(request.Span.String(), call)+"]")
		case r.FormValue("trace") == traceID.String():
			io.WriteString(w, answerOf(t, request))
		default:
			io.WriteString(w, answerOf(t, call))
		}
	})
	stock := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/hops" && r.FormValue("trace") == other.String() {
			io.WriteString(w, answerOf(t, callee))
			return
		}
		io.WriteString(w, "[]")
	})
	liar := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/strays" {
			io.WriteString(w, "["+strings.Join([]string{
				stray(request.Span.String(), stranger), stray("x", call), stray(request.Span.String(), request), stray(request.Span.String(), parented), `5`, `{"hop":null}`, `{"for":"\u001b","hop":{"trace_id":"z"}}`,
			}, ",")+"]")
			return
		}
		io.WriteString(w, "[]")
	})
	f := newClient(t, web, stock, liar).Find(limited(t, patience), traceID)
	if len(f.Known) != 3 || f.Hops != 3 || len(f.Roots) != 1 || f.Culprit == nil || f.Culprit.Service != "stock" || !f.Culprit.Inferred {
		t.Errorf("%d hops, %d known, %d roots, culprit %+v", f.Hops, len(f.Known), len(f.Roots), f.Culprit)
	}
	if text := string(f.AppendText(nil, diagnose.TextOptions{})); !strings.Contains(text, "└┄web") || !strings.Contains(text, "the call began a trace of its own") {
		t.Error(text)
	}
	if none := newClient(t, liar).Find(limited(t, patience), traceID); len(none.Known) != 0 || none.Failed() {
		t.Errorf("%+v", none)
	}
}
