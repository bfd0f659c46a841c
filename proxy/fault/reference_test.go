package fault

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/words"
)

// TestEveryKindIsExplained: there are words for each kind and for its error type.
func TestEveryKindIsExplained(t *testing.T) {
	for _, k := range All() {
		if words.Kind(k.String()) == "" {
			t.Errorf("%s has no words in telemetry/words", k)
		}
		if _, ok := words.ErrorType(k.ProxyError()); !ok && k.ProxyError() != "" {
			t.Errorf("the error type of %s, %s, is none of RFC 9209", k, k.ProxyError())
		}
	}
}

// TestKindsInDiagnoses: a trace's diagnosis finds the kind of a failure by its detail.
func TestKindsInDiagnoses(t *testing.T) {
	for _, k := range All() {
		if k.Side() == Downstream {
			continue
		}
		if got := diagnose.KindOf(k.Details(), k.ProxyError(), k.Flag()); got != k.String() {
			t.Errorf("%s is found as %q", k, got)
		}
	}
}

func TestReference(t *testing.T) {
	page := string(Reference())
	for _, want := range []string{
		"\n| UF | the connection to the endpoint could not be made | Nothing listens",
		"\n| DC | `downstream_remote_disconnect` | <a id=\"client_closed\"></a>client_closed | the client went away | none |  |\n",
		"\n| UT | `response_timeout` | <a id=\"upstream_timeout\"></a>upstream_timeout | the response did not come in time | 504 | http_response_timeout |\n",
		"\n| dns_timeout | the name of the next hop was not resolved in time | The DNS server",
		"\nNothing sets these flags yet: UMSDR, LH, RL, RLSE.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
