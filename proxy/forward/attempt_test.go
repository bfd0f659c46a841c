package forward

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestAgain(t *testing.T) {
	const (
		refused, closed, reset, timeout = fault.UpstreamRefused, fault.UpstreamClosed, fault.UpstreamReset, fault.UpstreamTimeout
		get, post                       = message.GET, message.POST
	)
	for _, c := range []struct {
		name                  string
		kind                  fault.Kind
		method                message.Method
		fresh, begun, started bool // begun: the content is not all here
		want                  bool
	}{
		{name: "refused", kind: refused, method: post, started: true, want: true},
		{name: "refused by a new connection", kind: refused, method: post, fresh: true, started: true, want: true},
		{name: "refused before any content was sent", kind: refused, method: post, begun: true, want: true},
		{name: "refused when content was sent", kind: refused, method: post, begun: true, started: true},
		{name: "closed before it was sent", kind: closed, method: post, want: true},
		{name: "closed when it was sent", kind: closed, method: post, started: true},
		{name: "idempotent", kind: closed, method: get, started: true, want: true},
		{name: "reset", kind: reset, method: get, started: true, want: true},
		{name: "a new connection", kind: closed, method: get, fresh: true, started: true},
		{name: "the head of an upload", kind: closed, method: post, begun: true},
		{name: "timeout", kind: timeout, method: get, started: true},
	} {
		b := body{whole: !c.begun, started: c.started}
		if got := again(fault.New(c.kind, c.name), !c.fresh, &b, &message.Head{Method: c.method}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestJudgeStatuses: those from 600 on are taken as 5xx (RFC 9110 section 15).
func TestJudgeStatuses(t *testing.T) {
	for status, want := range map[int]outlier.Result{
		200: outlier.Success, 404: outlier.Success, 500: outlier.Error5xx, 503: outlier.GatewayError,
		599: outlier.Error5xx, 600: outlier.Error5xx, 999: outlier.Error5xx,
	} {
		if got, ok := judge(&hop.Attempt{Status: status}); got != want || !ok {
			t.Errorf("%d: %v, %v, want %v", status, got, ok, want)
		}
	}
}
