package proxytest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
)

// Settings is what a test may change of a proxy: a listener "ingress" in front of one
// cluster, "web", and a forward proxy "egress". The route to the cluster comes after
// those that a test adds to the listener.
type Settings struct {
	Listener config.Listener
	Route    config.Route
	Cluster  config.Cluster
	Egress   config.Listener
	Config   *config.Config
	Filters  []filter.Filter // of every listener, before its own
}

// newSettings are those of a proxy without views.
func newSettings(endpoint string) *Settings {
	s := &Settings{
		Listener: config.NewListener("ingress", OwnAddress()), Route: config.NewRoute("web"),
		Cluster: config.NewCluster(endpoint), Egress: config.NewListener("egress", OwnAddress()), Config: config.New(),
	}
	s.Egress.Direction, s.Egress.Path, s.Egress.ForwardProxy = "outbound", config.OutboundPath(), config.NewForwardProxy()
	s.Config.Service, s.Config.Admin.Address, s.Config.Telemetry.AccessLog.Path = "web", "off", "off"
	s.Config.Telemetry.LearnRoutes = false // each test has a path of its own
	return s
}

// complete puts the configuration together.
func (s *Settings) complete() {
	s.Listener.Routes = append(s.Listener.Routes, s.Route)
	s.Config.Listeners = []config.Listener{s.Listener, s.Egress}
	s.Config.Clusters["web"] = s.Cluster
}

// ListenTLS makes a listener encrypt with certificates.
func ListenTLS(l *config.Listener, certificates ...config.Certificate) {
	l.TLS = config.NewListenerTLS(certificates[0].Cert, certificates[0].Key)
	l.TLS.Certificates = certificates
}

// UseTLS has a cluster encrypt its connections, and verify by the authority.
func UseTLS(s *Settings, ca string) *config.ClusterTLS {
	s.Cluster.TLS = config.NewClusterTLS()
	s.Cluster.TLS.CA = ca
	return s.Cluster.TLS
}

// AbortOnClose has a client that closes its side count as gone, however soon it does
// so: for tests whose clients are too quick to be told from one that half-closes.
func AbortOnClose(s *Settings) { s.Listener.AbortOnClose = "always" }

// ServiceName gives the proxy another service name than "front".
func ServiceName(service string) func(*Settings) {
	return func(s *Settings) { s.Config.Service = service }
}

// Allow is a rule of a forward proxy: clients of a network may reach a destination.
func Allow(client, destination string) config.ForwardAllow {
	return config.ForwardAllow{Clients: []netip.Prefix{netip.MustParsePrefix(client)}, Destinations: []string{destination}}
}

// Hedging is a policy of so many attempts, each after a short time. No timeout ends
// those that have lost.
func Hedging(attempts int) func(*Settings) {
	return func(s *Settings) {
		s.Route.Timeout = 0
		s.Cluster.Hedge = config.NewHedge(20 * time.Millisecond)
		s.Cluster.Hedge.Attempts = attempts
	}
}

// Retrying is a policy that does not wait long.
func Retrying(attempts int, on ...string) *config.Retry {
	r := config.NewRetry(on...)
	r.Attempts, r.Backoff.Base, r.Backoff.Max = attempts, time.Millisecond, 2*time.Millisecond
	return r
}

// OwnAddress is an address to listen on, on a loopback address that no other test has,
// this process's or another's. A port that one test gives up is soon another's, and
// whoever still connects to it, such as a proxy whose endpoint was killed, would reach a
// stranger, which counts each of its requests.
func OwnAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254))
}
