package convert

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// context is the context of a transport socket of TLS; false if it is none.
func (e *envoy) context(socket *node, kind string) (c *node, ok bool) {
	socket.skip("name")
	if typeOf(socket) != kind {
		e.left(socket.line, socket.path, "%s", reasons["transport_socket"])
		socket.readAll()
		return nil, false
	}
	c = socket.get("typed_config")
	c.skip("@type")
	c.get("common_tls_context").skip("alpn_protocols")
	return c, true
}

// certificates are the pairs of files of a context.
func (e *envoy) certificates(common *node) (pairs []config.Certificate, ok bool) {
	all := common.list("tls_certificates")
	for _, sds := range common.list("tls_certificate_sds_secret_configs") {
		if secret := e.secret(sds).get("tls_certificate"); secret != nil {
			all = append(all, secret)
		}
	}
	for _, n := range all {
		pair := config.Certificate{Cert: n.str("certificate_chain", "filename"), Key: n.str("private_key", "filename")}
		if pair.Cert == "" || pair.Key == "" {
			e.left(n.line, n.path, "certificates and keys are files here: write them into files")
			n.readAll()
			return nil, false
		}
		pairs = append(pairs, pair)
	}
	return pairs, true
}

// secret is a static secret that a configuration names.
func (e *envoy) secret(sds *node) *node {
	name := sds.str("name")
	s := e.secrets[name]
	if s == nil {
		e.left(sds.line, sds.path, "the secret %q is not among static_resources.secrets, and hopscope asks no control plane (xDS)", name)
		sds.readAll()
		return nil
	}
	sds.skip("sds_config")
	s.read = true
	return s
}

// validation is the context that verifies the other side; nil if none does.
func (e *envoy) validation(common *node) *node {
	if v := common.get("validation_context"); v != nil {
		return v
	}
	if sds := common.get("validation_context_sds_secret_config"); sds != nil {
		return e.secret(sds).get("validation_context")
	}
	combined := common.get("combined_validation_context")
	if combined == nil {
		return nil
	}
	v := combined.get("default_validation_context")
	if sds := combined.get("validation_context_sds_secret_config"); sds != nil {
		if s := e.secret(sds).get("validation_context"); s != nil {
			v.fields = append(v.fields, s.fields...)
		}
	}
	return v
}

// names are the names that certificates must have one of; ok is false if one can't be said.
func (e *envoy) names(v *node) (all []string, ok bool) {
	for _, list := range []string{"match_typed_subject_alt_names", "match_subject_alt_names"} {
		for _, n := range v.list(list) {
			n.skip("san_type")
			m := n
			if n.has("matcher") {
				m = n.get("matcher")
			}
			t, err := stringMatcher(m)
			name := t.Exact
			if t.Prefix != "" && strings.HasPrefix(t.Prefix, "spiffe://") && strings.HasSuffix(t.Prefix, "/") {
				name = t.Prefix + "*"
			}
			if t.Suffix != "" && strings.HasPrefix(t.Suffix, ".") {
				name = "*" + t.Suffix
				e.differs(n.line, n.path, `"*." stands for one label here`)
			}
			if err != nil || name == "" {
				e.left(n.line, n.path, "names are exact, begin with \"*.\", or are SPIFFE ids that end with \"/*\"")
				n.readAll()
				return nil, false
			}
			all = append(all, name)
		}
	}
	return all, true
}

var tlsVersions = map[string]string{"TLSv1_2": "1.2", "TLSv1_3": "1.3"}

func (e *envoy) versions(common *node, least, most *string) {
	p := common.get("tls_params")
	for key, to := range map[string]*string{"tls_minimum_protocol_version": least, "tls_maximum_protocol_version": most} {
		switch v := p.str(key); {
		case tlsVersions[v] != "":
			*to = tlsVersions[v]
		case v != "" && v != "TLS_AUTO":
			at := p.find(key)
			e.left(at.line, at.path, "hopscope has TLS 1.2 and 1.3")
		}
	}
}

// downstreamTLS converts the TLS of a listener; false if it can't be had.
func (e *envoy) downstreamTLS(l *config.Listener, socket *node) bool {
	c, ok := e.context(socket, "DownstreamTlsContext")
	if !ok {
		return false
	}
	common := c.get("common_tls_context")
	pairs, ok := e.certificates(common)
	if !ok || len(pairs) == 0 {
		return false
	}
	t := config.NewListenerTLS("", "")
	t.Certificates = pairs
	if alpn := common.strs("alpn_protocols"); len(alpn) > 0 {
		t.ALPN = alpn
	} else {
		t.ALPN = []string{"http/1.1"}
	}
	e.versions(common, &t.MinVersion, &t.MaxVersion)
	if c.truth("disable_stateless_session_resumption") {
		t.SessionTickets = false
	}
	v := e.validation(common)
	if v != nil {
		t.ClientAuth, t.ClientCA, t.CRL = "request", v.str("trusted_ca", "filename"), v.str("crl", "filename")
		names, ok := e.names(v)
		if !ok {
			return false
		}
		t.ClientSAN = names
	}
	if c.truth("require_client_certificate") {
		t.ClientAuth = "require"
	}
	if t.ClientAuth != "none" && t.ClientCA == "" {
		e.left(socket.line, socket.path, "clients' certificates need trusted_ca as a file")
		return false
	}
	l.TLS = t
	return true
}

// upstreamTLS converts the TLS of a cluster; false if it can't be had.
func (e *envoy) upstreamTLS(cluster *config.Cluster, socket *node) bool {
	c, ok := e.context(socket, "UpstreamTlsContext")
	if !ok {
		return false
	}
	common := c.get("common_tls_context")
	pairs, ok := e.certificates(common)
	if !ok {
		return false
	}
	t := config.NewClusterTLS()
	if len(pairs) > 0 {
		t.Cert, t.Key = pairs[0].Cert, pairs[0].Key
	}
	e.versions(common, &t.MinVersion, &t.MaxVersion)
	t.SNI = c.str("sni")
	v := e.validation(common)
	t.CA, t.CRL = v.str("trusted_ca", "filename"), v.str("crl", "filename")
	t.SPKI = v.strs("verify_certificate_spki")
	names, ok := e.names(v)
	if !ok {
		return false
	}
	t.SAN = names
	system := v.get("system_root_certs") != nil
	switch {
	case t.CA == "" && !system:
		t.InsecureSkipVerify = true // as Envoy does
		e.differs(socket.line, socket.path, "Envoy does not verify the endpoints here, and insecure_skip_verify says so: give the cluster a ca")
	case len(t.SAN) == 0:
		e.differs(socket.line, socket.path, "Envoy takes any certificate of the authorities; here it has to be for the sni, or for the endpoint's host")
	}
	cluster.TLS = t
	return true
}
