package consul

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// KVLocation is where a key is.
type KVLocation struct {
	Connection
	Datacenter, Namespace, Partition string
	Key                              string
}

// ParseKVURL reads the URL of a key:
//
//	consul://127.0.0.1:8500/hopscope/web.yaml?dc=west&token_file=/run/consul.token
//
// The scheme consul+https is for an agent with TLS. Parameters are dc, ns, partition,
// token_file, and with TLS ca, cert, key and server_name. Token, which the caller may
// have from the environment, is used where there is no token_file: a URL, which others
// can see in the list of processes, holds none.
func ParseKVURL(text, token string) (KVLocation, error) {
	wrong := func(format string, args ...any) (KVLocation, error) {
		return KVLocation{}, fmt.Errorf("%q: %s; write consul://host:port/key or consul+https://host:port/key",
			redact.URL(text), fmt.Sprintf(format, args...))
	}
	scheme, rest, _ := strings.Cut(text, "://")
	schemes := map[string]string{"consul": "http://", "consul+https": "https://"}
	if schemes[scheme] == "" {
		return wrong("not a URL of a key in Consul")
	}
	u, err := url.Parse(schemes[scheme] + rest)
	switch {
	case err != nil:
		return wrong("not a URL")
	case u.User != nil:
		return wrong("it must not hold a password: use token_file")
	case u.Fragment != "":
		return wrong("a # belongs in a key as %%23")
	}
	l := KVLocation{Key: strings.TrimPrefix(u.Path, "/")}
	if l.Key == "" || strings.HasSuffix(l.Key, "/") {
		return wrong("there is no key in it")
	}
	l.Address = schemes[scheme] + u.Host
	if _, _, _, err := parseAddress(l.Address); err != nil {
		return KVLocation{}, err
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return wrong("its parameters cannot be read")
	}
	places := map[string]*string{
		"dc": &l.Datacenter, "ns": &l.Namespace, "partition": &l.Partition, "token_file": &l.TokenFile,
	}
	if scheme == "consul+https" {
		places["ca"], places["cert"], places["key"], places["server_name"] = &l.TLS.CA, &l.TLS.Cert, &l.TLS.Key, &l.TLS.ServerName
	}
	for name, values := range parameters {
		place := places[name]
		if place == nil || len(values) != 1 || values[0] == "" {
			return wrong("parameter %q is unknown, given twice, or empty", name)
		}
		*place = values[0]
	}
	if l.TokenFile == "" {
		l.Token = token
	}
	return l, nil
}
