package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// frontFlags are the flags of run that stand for the listeners and clusters of
// a file.
var frontFlags = [...]string{"listen", "tls-cert", "tls-key", "to", "to-ca", "to-insecure", "egress"}

// front adds the flags of what is listened on and where it goes.
func (f *runFlags) front(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&f.listen, "listen", "", "take requests on `ADDR`, host:port")
	p.StringVar(&f.tlsCert, "tls-cert", "", "take requests over TLS, with the certificate in `FILE`")
	p.StringVar(&f.tlsKey, "tls-key", "", "private key of --tls-cert in `FILE`")
	p.StringSliceVar(&f.to, "to", nil, "send requests to the service at `ADDR`, host:port, or https://host:port for TLS, or h2c://host:port "+
		"for HTTP/2 without; several, separated by commas, take turns; or at consul:NAME, a service in Consul")
	p.StringVar(&f.consul, "consul", "", "ask the Consul agent at `ADDR`, host:port, for what --to consul:NAME and a file's clusters name (default 127.0.0.1:8500)")
	p.StringVar(&f.toCA, "to-ca", "", "verify the https:// endpoints of --to by the authorities in `FILE`, not the system's")
	p.BoolVar(&f.toInsecure, "to-insecure", false, "do not verify the https:// endpoints of --to (for trying things out)")
	p.StringVar(&f.egress, "egress", "", "be a forward proxy on `ADDR`, host:port, for what the service calls")
	for _, name := range []string{"tls-cert", "tls-key", "to-ca"} {
		c.MarkFlagFilename(name, "pem", "crt", "cer", "key")
	}
}

// base is the configuration of the file, or of the flags that stand for one.
func (f *runFlags) base(c *cobra.Command) (*config.Config, error) {
	if err := f.together(c); err != nil {
		return nil, misuse(c, err)
	}
	if f.file != "" {
		if isKey(f.file) {
			return readKey(c.Context(), f.file)
		}
		return config.Check(f.file)
	}
	cfg := config.New()
	if f.listen != "" {
		name := cmp.Or(f.service, cfg.Service)
		l := config.NewListener("ingress", f.listen)
		l.Routes = []config.Route{config.NewRoute(name)}
		if f.tlsCert != "" {
			l.TLS = config.NewListenerTLS(f.tlsCert, f.tlsKey)
		}
		cluster, err := f.cluster()
		if err != nil {
			return nil, err
		}
		cfg.Listeners = append(cfg.Listeners, l)
		cfg.Clusters[name] = cluster
	}
	if f.egress != "" {
		l := config.NewListener("egress", f.egress)
		l.Direction, l.ForwardProxy = "outbound", config.NewForwardProxy()
		cfg.Listeners = append(cfg.Listeners, l)
	}
	return cfg, nil
}

// together checks which of the flags go with which.
func (f *runFlags) together(c *cobra.Command) error {
	if f.file != "" {
		for _, name := range frontFlags {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s doesn't go with -c: listeners and clusters are in the file", name)
			}
		}
		return nil
	}
	switch {
	case (f.listen == "") != (len(f.to) == 0) || f.listen == "" && f.egress == "":
		return errors.New(`nothing to run: give --listen ADDR and --to ADDR, such as
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web
or --egress ADDR, or a file with -c`)
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert and --tls-key go together: a certificate needs its private key")
	case f.tlsCert != "" && f.listen == "":
		return errors.New("--tls-cert is for what --listen takes: give --listen ADDR and --to ADDR as well")
	case f.listen == "" && (f.toInsecure || f.toCA != ""):
		return errors.New("--to-ca and --to-insecure are for endpoints with TLS: give --listen ADDR and --to https://host:port as well")
	case f.consul != "" && (len(f.to) == 0 || !strings.HasPrefix(f.to[0], consulPrefix)):
		return errors.New("--consul is the agent for --to consul:NAME, which is not given")
	case f.toInsecure && f.toCA != "":
		return errors.New("--to-insecure and --to-ca contradict each other: verify the endpoints or don't")
	}
	return nil
}

// cluster is what --to and the flags about it describe.
func (f *runFlags) cluster() (config.Cluster, error) {
	if service, ok := strings.CutPrefix(f.to[0], consulPrefix); ok {
		return f.consulCluster(service)
	}
	endpoints, scheme, err := f.endpoints()
	if err != nil {
		return config.Cluster{}, err
	}
	c := config.NewCluster(endpoints...)
	switch scheme {
	case "https":
		c.TLS = config.NewClusterTLS()
		c.TLS.CA, c.TLS.InsecureSkipVerify = f.toCA, f.toInsecure
	case "h2c":
		c.Protocol = "http2"
	}
	if scheme != "https" && (f.toCA != "" || f.toInsecure) {
		return config.Cluster{}, errors.New("--to-ca and --to-insecure are for endpoints with TLS: write --to https://host:port")
	}
	return c, nil
}

// consulPrefix begins a --to that names a service in Consul.
const consulPrefix = "consul:"

// consulCluster is the cluster of a service in Consul.
func (f *runFlags) consulCluster(service string) (config.Cluster, error) {
	switch {
	case len(f.to) > 1:
		return config.Cluster{}, fmt.Errorf("--to: %s stands alone, as Consul knows all of its endpoints; several clusters need a file: hopscope run -c FILE", f.to[0])
	case f.toCA != "" || f.toInsecure:
		return config.Cluster{}, errors.New("--to-ca and --to-insecure are for --to https://host:port; TLS to a service in Consul needs a file: hopscope run -c FILE")
	case service == "" || strings.ContainsAny(service, "/:"):
		return config.Cluster{}, fmt.Errorf("--to: expected consul:NAME with the name of a service, found %q", f.to[0])
	}
	c := config.NewCluster()
	c.Consul = config.NewConsul(service)
	return c, nil
}

// endpoints are the addresses of --to, and their scheme: http, https or h2c.
func (f *runFlags) endpoints() (all []string, scheme string, err error) {
	first := ""
	for _, to := range f.to {
		to = strings.TrimSpace(to)
		address, s, err := endpoint(to)
		if err != nil {
			return nil, "", err
		}
		if first == "" {
			first, scheme = to, s
		}
		if s != scheme {
			return nil, "", fmt.Errorf("--to: %s and %s are spoken to differently; endpoints that take turns have one scheme, "+
				"and several clusters need a file: hopscope run -c FILE", first, to)
		}
		all = append(all, address)
	}
	return all, scheme, nil
}

// endpoint splits an entry of --to, which is an address or a URL of nothing
// more.
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

// frontKeys adds the flags of listeners by the keys that they set.
func (f *runFlags) frontKeys(cfg *config.Config, flags map[string]string) {
	for i, l := range cfg.Listeners {
		p := fmt.Sprintf("listeners[%d].", i)
		flags[p+"address"] = map[string]string{"ingress": "--listen", "egress": "--egress"}[l.Name]
		flags[p+"tls.certificates[0].cert"] = "--tls-cert"
		flags[p+"tls.certificates[0].key"] = "--tls-key"
	}
}

// clusterFlag is the flag that set a key of the cluster, or "".
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
