package forward

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// TestWhatIsWaitedFor: a request to a service that ends while the service's own call still
// waits says so, and blames what is called if that took most of the time.
func TestWhatIsWaitedFor(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
	for _, tt := range []struct {
		name    string
		call    string        // the trace of the call, "" for none
		after   time.Duration // when the call begins, from the start of the request
		answers bool          // the call
		leaves  time.Duration // when the client of the request leaves; 0 is never
		want    hop.Failure
	}{
		{name: "nothing", want: hop.Failure{
			Origin: hop.OriginProxy, Hop: "shop", Part: hop.PartApplication, Kind: "upstream_timeout", Endpoint: "ADDRESS",
			Reason: "ADDRESS did not answer within the route's timeout"}},
		{name: "a call", call: trace, after: 200 * ms, want: hop.Failure{
			Origin: hop.OriginRelayed, Hop: "web", Part: hop.PartApplication, Kind: "upstream_timeout", Caller: "shop", Endpoint: "ADDRESS",
			Reason: "ADDRESS did not answer within the route's timeout: it has waited for web for 800ms"}},
		{name: "a call that has just begun", call: trace, after: 600 * ms, want: hop.Failure{
			Origin: hop.OriginProxy, Hop: "shop", Part: hop.PartApplication, Kind: "upstream_timeout", Endpoint: "ADDRESS",
			Reason: "ADDRESS did not answer within the route's timeout"}},
		{name: "a call that has its answer", call: trace, after: 200 * ms, answers: true, want: hop.Failure{
			Origin: hop.OriginProxy, Hop: "shop", Part: hop.PartApplication, Kind: "upstream_timeout", Endpoint: "ADDRESS",
			Reason: "ADDRESS did not answer within the route's timeout"}},
		{name: "a call of another trace", call: "1" + trace[1:], after: 200 * ms, want: hop.Failure{
			Origin: hop.OriginProxy, Hop: "shop", Part: hop.PartApplication, Kind: "upstream_timeout", Endpoint: "ADDRESS",
			Reason: "ADDRESS did not answer within the route's timeout"}},
		{name: "a client that leaves", call: trace, after: 200 * ms, leaves: 500 * ms, want: hop.Failure{
			Origin: hop.OriginDownstream, Hop: "client", Kind: "client_closed",
			Reason: "the client closed the connection before it had the whole response; the application has not answered: it has waited for web for 300ms"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := new(active.Table)
				serve := func(d hop.Direction, timeout time.Duration, does behaviour, c *caller, trace string) {
					b := newInBubble(t, does)
					b.target.Labels = &hop.Labels{Service: "shop", Direction: d, Cluster: "web"}
					b.target.Own = d == hop.Inbound
					b.action.Timeout, b.change = timeout, func(f *Forwarder) { f.UnderWay = table }
					b.serve(c, "traceparent: 00-"+trace+"-"+parent+"-01")
				}
				request := new(caller)
				if tt.leaves > 0 {
					request.leaves = time.Now().Add(tt.leaves)
				}
				go serve(hop.Inbound, time.Second, behaviour{silent: true}, request, trace)
				if tt.call != "" {
					does := behaviour{silent: true}
					if tt.answers {
						does = behaviour{status: 200, content: 3 * time.Second}
					}
					time.Sleep(tt.after)
					go serve(hop.Outbound, 5*time.Second, does, new(caller), tt.call)
				}
				time.Sleep(8 * time.Second)
				synctest.Wait()
				got := request.hop.Failure
				for _, text := range []*string{&got.Endpoint, &got.Reason} {
					*text = address.ReplaceAllString(*text, "ADDRESS") // whichever was picked
				}
				if got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}
