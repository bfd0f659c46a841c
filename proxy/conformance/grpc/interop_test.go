package grpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// gRPC's own interoperability tests, through the proxy.
func TestGRPCInterop(t *testing.T) {
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("127.0.0.1")
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
			l := proxytest.StartWithViews(t, server.Addr, func(s *proxytest.Settings) {
				s.Cluster.Protocol = "http2"
				if tt.trust != "" {
					s.Cluster.TLS = config.NewClusterTLS()
					s.Cluster.TLS.CA = tt.trust
					proxytest.ListenTLS(&s.Listener, cert)
				}
			})
			for _, name := range backends.GRPCCases() {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					if err := backends.GRPCCall(ctx, t, name, l.Ingress(), tt.trust, "127.0.0.1"); err != nil {
						l.FlushViews()
						t.Errorf("%v\nthe proxy's log ends with %v", err, l.Lines()[max(0, len(l.Lines())-2):])
					}
				})
			}
			l.Settle()
			for _, one := range l.Lines() {
				if one["path"] == nil {
					continue // a connection that the client did not come to use
				}
				if one.Text("protocol") != "HTTP/2" || one["grpc_status"] == nil {
					t.Errorf("a call of which the log does not say how it ended: %v", one)
				}
			}
		})
	}
}
