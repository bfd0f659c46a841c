//go:build linux && !race

package netio_test

import (
	"crypto/tls"
	"testing"
)

// TestRoundTripsAllocateNothing goes back and forth between two Conns, with a
// deadline for each wait. (The race detector makes sync.Pool forget.) Over TLS
// crypto/tls allocates 24 bytes for each receive, and nothing else may.
func TestRoundTripsAllocateNothing(t *testing.T) {
	cases := []struct {
		name    string
		version uint16
		most    float64
	}{
		{"plain", 0, 0},
		{"tls 1.2", tls.VersionTLS12, 2},
		{"tls 1.3", tls.VersionTLS13, 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if allocated := testing.AllocsPerRun(2000, exchanges(t, tc.version, 300)); allocated > tc.most {
				t.Errorf("%v allocations a round trip", allocated)
			}
		})
	}
}
