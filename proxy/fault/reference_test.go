package fault

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestReferenceIsWhole: every flag that the proxy sets has a row with advice, and no other.
func TestReferenceIsWhole(t *testing.T) {
	set := map[hop.Flags]bool{hop.RetriesExhausted: true} // set beside the flag of a failure
	for _, k := range All() {
		set[k.Flag()] = true
	}
	for f := range set {
		if a := advices[f]; a.causes == "" || a.next == "" {
			t.Errorf("%s has no advice", f)
		}
	}
	for f := range advices {
		if !set[f] {
			t.Errorf("%s has advice, though nothing sets it", f)
		}
	}
	page := string(Reference())
	for _, want := range []string{
		"\n| UF | the connection to the endpoint could not be made | Nothing listens",
		"\n| DC | `downstream_remote_disconnect` | none |  |\n",
		"\n| UT | `response_timeout` | 504 | http_response_timeout |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
