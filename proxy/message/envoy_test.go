package message

import (
	"strings"
	"testing"
)

func TestEnvoyFields(t *testing.T) {
	for id := Unknown + 1; id < lastField; id++ {
		if strings.HasPrefix(id.String(), envoyPrefix) != envoyFields.Has(id) {
			t.Errorf("%s", id)
		}
	}
	for name, want := range map[string]bool{
		"x-envoy-internal": true, "X-Envoy-Max-Retries": true, "X-ENVOY-something-new": true, "x-envoy-a": true,
		"x-envoy-": false, "x-envoy": false, "x-envoys-own": false, "y-envoy-internal": false, "host": false, "x-request-id": false,
	} {
		var h Head
		h.Add(UserAgent, "user-agent", "curl")
		h.Add(FieldByName([]byte(name)), name, "v")
		if h.HasEnvoy() != want {
			t.Errorf("%s: %t", name, !want)
		}
		h.RemoveEnvoy()
		_, there := h.Lookup(name)
		if there == want || h.HasEnvoy() || !h.Has(UserAgent) {
			t.Errorf("%s after the removal: there %t", name, there)
		}
	}
}

func BenchmarkHasEnvoy(b *testing.B) {
	var h Head
	for _, name := range []string{"host", "user-agent", "accept", "accept-encoding", "accept-language", "connection", "cookie", "x-request-id", "x-forwarded-for", "traceparent"} {
		h.Add(FieldByName([]byte(name)), name, "v")
	}
	for b.Loop() {
		h.HasEnvoy()
	}
}
