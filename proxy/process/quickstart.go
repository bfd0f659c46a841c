package process

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// Quickstart is a proxy in front of one service, without a file: at most two listeners
// and one cluster. Each field is a flag of "hopscope run".
type Quickstart struct {
	Listen, TLSCert, TLSKey string   // the listener for requests to the service
	To                      []string // the service: addresses, URLs or consul:NAME
	ToCA                    string
	ToInsecure              bool
	Egress                  string // the forward proxy for what the service calls
}

// quickstartFlags are the flags of Quickstart's fields.
var quickstartFlags = [...]string{"listen", "tls-cert", "tls-key", "to", "to-ca", "to-insecure", "egress"}

// checkQuickstart returns an error if the flags without a file don't go together.
func (f *Flags) checkQuickstart() error {
	switch {
	case (f.Listen == "") != (len(f.To) == 0) || f.Listen == "" && f.Egress == "":
		return errors.New(`nothing to run: give --listen ADDR and --to ADDR, such as
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web
or --egress ADDR, or a file with -c`)
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: a certificate needs its private key")
	case f.TLSCert != "" && f.Listen == "":
		return errors.New("--tls-cert is the certificate of --listen: give --listen ADDR and --to ADDR as well")
	case f.Listen == "" && (f.ToInsecure || f.ToCA != ""):
		return errors.New("--to-ca and --to-insecure are for endpoints with TLS: give --listen ADDR and --to https://host:port as well")
	case f.Consul != "" && (len(f.To) == 0 || !strings.HasPrefix(f.To[0], consulPrefix)):
		return errors.New("--consul is the agent for --to consul:NAME, which is not given")
	case f.ToInsecure && f.ToCA != "":
		return errors.New("--to-insecure and --to-ca contradict each other: verify the endpoints or don't")
	}
	return nil
}

// config returns the listeners and the cluster, which has the service's name.
func (q *Quickstart) config(service string, e *config.Environment) (*config.Config, error) {
	cfg := e.New()
	if q.Listen != "" {
		name := cmp.Or(service, cfg.Service)
		l := config.NewListener("ingress", q.Listen)
		l.Routes = []config.Route{config.NewRoute(name)}
		if q.TLSCert != "" {
			l.TLS = config.NewListenerTLS(q.TLSCert, q.TLSKey)
		}
		cluster, err := q.cluster()
		if err != nil {
			return nil, err
		}
		cfg.Listeners = append(cfg.Listeners, l)
		cfg.Clusters[name] = cluster
	}
	if q.Egress != "" {
		l := config.NewListener("egress", q.Egress)
		l.Direction, l.Path, l.ForwardProxy = "outbound", config.OutboundPath(), config.NewForwardProxy()
		cfg.Listeners = append(cfg.Listeners, l)
	}
	return cfg, nil
}

// cluster returns the cluster that --to and the flags about it describe.
func (q *Quickstart) cluster() (config.Cluster, error) {
	if service, ok := strings.CutPrefix(q.To[0], consulPrefix); ok {
		return q.consulCluster(service)
	}
	endpoints, scheme, err := q.endpoints()
	if err != nil {
		return config.Cluster{}, err
	}
	c := config.NewCluster(endpoints...)
	switch scheme {
	case "https":
		c.TLS = config.NewClusterTLS()
		c.TLS.CA, c.TLS.InsecureSkipVerify = q.ToCA, q.ToInsecure
	case "h2c":
		c.Protocol = "http2"
	}
	if scheme != "https" && (q.ToCA != "" || q.ToInsecure) {
		return config.Cluster{}, errors.New("--to-ca and --to-insecure are for endpoints with TLS: write --to https://host:port")
	}
	return c, nil
}

// consulPrefix begins a --to that names a service in Consul.
const consulPrefix = "consul:"

// consulCluster returns the cluster of a service in Consul.
func (q *Quickstart) consulCluster(service string) (config.Cluster, error) {
	switch {
	case len(q.To) > 1:
		return config.Cluster{}, fmt.Errorf("--to: %s takes no further endpoints, since Consul has them all; for several clusters, use a file: hopscope run -c FILE", q.To[0])
	case q.ToCA != "" || q.ToInsecure:
		return config.Cluster{}, errors.New("--to-ca and --to-insecure are for --to https://host:port; for TLS to a service in Consul, use a file: hopscope run -c FILE")
	case service == "" || strings.ContainsAny(service, "/:"):
		return config.Cluster{}, fmt.Errorf("--to: expected consul:NAME with the name of a service, found %q", q.To[0])
	}
	c := config.NewCluster()
	c.Consul = config.NewConsul(service)
	return c, nil
}

// endpoints returns the addresses of --to, and their scheme: http, https or h2c.
func (q *Quickstart) endpoints() (all []string, scheme string, err error) {
	first := ""
	for _, to := range q.To {
		to = strings.TrimSpace(to)
		address, s, err := endpoint(to)
		if err != nil {
			return nil, "", err
		}
		if first == "" {
			first, scheme = to, s
		}
		if s != scheme {
			return nil, "", fmt.Errorf("--to: %s and %s differ in scheme: all endpoints of a service have the same; "+
				"for several clusters, use a file: hopscope run -c FILE", first, to)
		}
		all = append(all, address)
	}
	return all, scheme, nil
}

// endpoint splits an entry of --to: an address, or a URL of a scheme and an address.
func endpoint(to string) (address, scheme string, err error) {
	scheme, address, isURL := strings.Cut(to, "://")
	if !isURL {
		scheme, address = "http", to
	}
	scheme = strings.ToLower(scheme)
	authority, path, _ := strings.Cut(address, "/")
	switch {
	case scheme != "http" && scheme != "https" && scheme != "h2c":
		return "", "", fmt.Errorf("--to: there is no scheme %q; expected host:port, http://host:port, https://host:port or h2c://host:port", scheme)
	case strings.Contains(authority, "@"): // not shown: it may hold a password
		return "", "", errors.New("--to: an endpoint has no user and no password; give host:port")
	case path != "":
		return "", "", fmt.Errorf("--to: %s has a path, and requests keep their own; give %s without it", redact.URL(to), strings.TrimSuffix(to, "/"+path))
	}
	return authority, scheme, nil
}

// quickstartKeys adds the flags of listeners by the keys that they set.
func quickstartKeys(cfg *config.Config, flags map[string]string) {
	for i, l := range cfg.Listeners {
		p := fmt.Sprintf("listeners[%d].", i)
		flags[p+"address"] = map[string]string{"ingress": "--listen", "egress": "--egress"}[l.Name]
		flags[p+"tls.certificates[0].cert"] = "--tls-cert"
		flags[p+"tls.certificates[0].key"] = "--tls-key"
	}
}

// clusterFlag returns the flag that set a key of the cluster, or "".
func clusterFlag(path string) string {
	switch {
	case strings.Contains(path, ".endpoints"):
		return "--to"
	case strings.Contains(path, ".consul"):
		return "--to"
	case strings.HasSuffix(path, ".tls.ca"):
		return "--to-ca"
	}
	return ""
}
