package forward

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// pooled is a stream that was there before, or was not.
type pooled struct {
	upstream.Stream
	reused  bool
	version hop.Version
}

func (p pooled) Reused() bool         { return p.reused }
func (p pooled) Version() hop.Version { return p.version }

func TestUntouched(t *testing.T) {
	const (
		refused, closed, reset, timeout = fault.UpstreamRefused, fault.UpstreamClosed, fault.UpstreamReset, fault.UpstreamTimeout
		get, post                       = message.GET, message.POST
	)
	for _, c := range []struct {
		name         string
		kind         fault.Kind
		method       message.Method
		fresh, begun bool
		version      hop.Version
		want         bool
	}{
		{name: "refused", kind: refused, method: post, begun: true, want: true},
		{name: "refused by a new connection", kind: refused, method: post, fresh: true, begun: true, want: true},
		{name: "refused over HTTP/2", kind: refused, method: post, begun: true, version: hop.HTTP2, want: true},
		{name: "closed before it was sent", kind: closed, method: post, want: true},
		{name: "closed when it was sent", kind: closed, method: post, begun: true},
		{name: "idempotent", kind: closed, method: get, begun: true, want: true},
		{name: "reset", kind: reset, method: get, begun: true, want: true},
		{name: "a new connection", kind: closed, method: get, fresh: true, begun: true},
		{name: "HTTP/2", kind: closed, method: get, begun: true, version: hop.HTTP2},
		{name: "timeout", kind: timeout, method: get, begun: true},
	} {
		a := attempt{x: new(filter.Exchange), begun: c.begun, stream: pooled{reused: !c.fresh, version: c.version}}
		a.x.Request.Method = c.method
		if got := a.untouched(c.kind); got != c.want {
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
