package convert

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// serverTLS converts the TLS of the servers; false if it can't be had.
func (h *haproxy) serverTLS(c *config.Cluster, servers []server) bool {
	v := servers[0]
	if v.options["proto"] == "h2" {
		c.Protocol = "http2"
	}
	for _, other := range servers[1:] {
		if other.options["proto"] != v.options["proto"] {
			h.left(other.n, other.text, "proto: all endpoints of a cluster speak what the first one does")
		}
		if option, ok := v.sameTLS(&other); !ok {
			h.left(other.n, other.text, "%s: all endpoints of a cluster have the same TLS, or none: the cluster is left out", option)
			return false
		}
	}
	if !v.has("ssl") {
		return true
	}
	t := config.NewClusterTLS()
	if strings.HasPrefix(v.options["alpn"], "h2") {
		c.Protocol = "auto"
	}
	t.CA, t.CRL = v.options["ca-file"], v.options["crl-file"]
	if t.CA == "@system-ca" {
		t.CA = ""
	}
	if crt := v.options["crt"]; crt != "" {
		t.Cert, t.Key = crt, crt
	}
	if sni := v.options["sni"]; sni != "" {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(sni, ")"), "str("); ok {
			t.SNI = name
		} else {
			h.left(v.n, v.text, "sni %s: the name that endpoints are asked for does not depend on the request", sni)
		}
	}
	if host := v.options["verifyhost"]; host != "" {
		t.SAN = []string{host}
	}
	h.versions(t, &v)
	switch {
	case v.options["verify"] == "none" || v.options["ca-file"] == "":
		t.InsecureSkipVerify = true
	case t.SNI == "" && len(t.SAN) == 0:
		h.differs(v.n, v.text, "HAProxy takes any certificate of the authorities; here it has to be for the endpoint's host")
	}
	c.TLS = t
	return true
}

// sameTLS reports whether two servers are spoken to with the same TLS, and else an option
// that only one of them has, or has so.
func (v *server) sameTLS(other *server) (option string, ok bool) {
	if v.has("ssl") != other.has("ssl") {
		return "ssl", false
	}
	if !v.has("ssl") {
		return "", true
	}
	for _, option := range []string{"verify", "ca-file", "crl-file", "verifyhost", "sni", "crt", "ssl-min-ver", "ssl-max-ver", "force-tlsv12", "force-tlsv13"} {
		if v.options[option] != other.options[option] || v.has(option) != other.has(option) {
			return option, false
		}
	}
	return "", true
}

// versions converts which versions of TLS a server is spoken to in.
func (h *haproxy) versions(t *config.ClusterTLS, v *server) {
	set := func(to *string, text string) {
		switch version := strings.TrimPrefix(text, "TLSv"); version {
		case "":
		case "1.2", "1.3":
			*to = version
		default:
			h.left(v.n, v.text, "%s: hopscope has TLS 1.2 and 1.3", text)
		}
	}
	set(&t.MinVersion, v.options["ssl-min-ver"])
	set(&t.MaxVersion, v.options["ssl-max-ver"])
	if v.has("force-tlsv12") {
		t.MinVersion, t.MaxVersion = "1.2", "1.2"
	}
	if v.has("force-tlsv13") {
		t.MinVersion = "1.3"
	}
}
