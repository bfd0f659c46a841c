package snapshot_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
)

// gRPC's own interoperability tests, through the proxy.
func TestGRPCInterop(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue("127.0.0.1")
	for _, tt := range []struct {
		name             string
		cert, key, trust string
	}{
		{name: "plain"},
		{"TLS", cert.Cert, cert.Key, ca.File},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := backends.GRPC(t, tt.cert, tt.key)
			l := startLab(t, server.Addr, func(s *settings) {
				s.Cluster.Protocol = "http2"
				if tt.trust != "" {
					s.Cluster.TLS = config.NewClusterTLS()
					s.Cluster.TLS.CA = tt.trust
					listenTLS(&s.Listener, cert)
				}
			})
			for _, name := range backends.GRPCCases() {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					if err := backends.GRPCCall(ctx, t, name, l.ingress(), tt.trust, "127.0.0.1"); err != nil {
						l.flush()
						t.Errorf("%v\nthe proxy's log ends with %v", err, l.lines()[max(0, len(l.lines())-2):])
					}
				})
			}
			l.settle()
			for _, one := range l.lines() {
				if one["path"] == nil {
					continue // a connection that the client did not come to use
				}
				if one.text("protocol") != "HTTP/2" || one["grpc_status"] == nil {
					t.Errorf("a call of which the log does not say how it ended: %v", one)
				}
			}
		})
	}
}
