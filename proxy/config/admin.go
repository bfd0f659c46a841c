package config

import (
	"bytes"
	"net/netip"
	"strings"
)

// Admin is the admin API. It knows two roles. Who may read sees what the proxy does, and
// asks through it what its mesh knows. Who may control also reloads, drains, changes the
// log level and takes endpoints out.
//
// As soon as there is a token_file, a control_token_file, a tls.client_ca, or a token_file or
// tls of "mesh", every request needs a token or a client certificate, on loopback too.
// Clients send a token as "Authorization: Bearer TOKEN", or as the password of Basic, with
// any user name, as browsers do.
type Admin struct {
	// Address is where the admin API listens, or "off". If it is not on loopback, requests
	// must need a token or a client certificate, unless "insecure" is true.
	Address string `yaml:"address" default:"127.0.0.1:9901" format:"listen|off"`
	// TokenFile is a file of tokens of those who may read: one a line, each with at least 16
	// characters, all of which count. The proxy reads it again when it changes.
	TokenFile string `yaml:"token_file" format:"file"`
	// ControlTokenFile is the same for those who may control. Without it, and without
	// tls.control_san, nobody may, once anything says who may read.
	ControlTokenFile string `yaml:"control_token_file" format:"file"`
	// TLS encrypts the admin API's connections. Without it they have the certificate of
	// mesh.tls, if that has one.
	TLS *AdminTLS `yaml:"tls"`
	// Open lists what everyone may ask for, without a token: "ready" (without the reason why
	// the proxy is not ready, for the probes of Kubernetes) and "metrics".
	Open []string `yaml:"open" default:"ready" enum:"ready,metrics"`
	// Insecure lets everyone who can reach the address read and control.
	Insecure bool `yaml:"insecure" default:"false"`
}

// AdminTLS encrypts the admin API's connections. The proxy reads its files again when they
// change.
type AdminTLS struct {
	// Cert is the file of the certificate, followed by its intermediate certificates.
	Cert string `yaml:"cert" required:"true" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" required:"true" format:"file"`
	// ClientCA is the file of the authorities that sign the certificates of clients who may
	// read; the default is mesh.tls.ca. Clients without a certificate need a token.
	ClientCA string `yaml:"client_ca" format:"file"`
	// ClientSAN lists the clients that are let in, by the names in their certificates, as in
	// a listener's tls. Without any, all clients with a certificate of the authorities are.
	ClientSAN []string `yaml:"client_san" format:"san"`
	// ControlSAN lists those of them that may control.
	ControlSAN []string `yaml:"control_san" format:"san"`
}

// Guarded reports whether requests to the admin API need a token or a client certificate.
func (c *Config) Guarded() bool {
	a := &c.Admin
	return a.TokenFile != "" || a.ControlTokenFile != "" || a.TLS != nil && a.TLS.ClientCA != "" ||
		c.Mesh != nil && (c.Mesh.TokenFile != "" || c.Mesh.TLS != nil && c.Mesh.TLS.Cert != "")
}

// admin checks what spans the keys of the admin API.
func (v validator) admin() {
	a, p := &v.config.Admin, v.root.key("admin")
	guarded := v.config.Guarded()
	switch {
	case a.Address == "off" || p.key("address").failed || checkListen(a.Address) != nil:
	case a.Insecure && guarded:
		v.errs.add(p.key("insecure"), "everyone can't be let in while a token or a client certificate is asked for; remove the key, or what asks for them")
	case !a.Insecure && !guarded && !onLoopback(a.Address):
		v.errs.add(p.key("address"), "%q is not on loopback, and there everyone could read traces and drain the proxy; "+
			"set admin.token_file, mesh.token_file or admin.tls.client_ca, or admin.insecure to true if the network keeps strangers out", clip(a.Address))
	}
	if t := a.TLS; t != nil && t.ClientCA == "" && (v.config.Mesh == nil || v.config.Mesh.TLS == nil) {
		for name, sans := range map[string][]string{"client_san": t.ClientSAN, "control_san": t.ControlSAN} {
			if len(sans) > 0 {
				v.errs.add(p.key("tls").key(name), "has no effect without client_ca, as no client is asked for a certificate; set client_ca, or remove the key")
			}
		}
	}
}

// onLoopback reports whether only clients of this machine reach an address.
func onLoopback(address string) bool {
	host, _, err := splitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// minToken and maxTokens are limits on a file of tokens; package mesh has the same.
const (
	minToken  = 16
	maxTokens = 16
)

// tokens checks a file of tokens of the admin API, and never shows them.
func (f fileChecker) tokens(p *place, path string) {
	data, ok := f.read(p, path)
	if !ok {
		return
	}
	words := bytes.Fields(data)
	if len(words) == 0 || len(words) > maxTokens {
		f.errs.add(p, "the file %q has %d tokens; expected 1 to %d, one a line", clip(path), len(words), maxTokens)
		return
	}
	for i, w := range words {
		if len(w) < minToken || bytes.ContainsFunc(w, func(r rune) bool { return r <= ' ' || r > '~' }) {
			f.errs.add(p, "token %d of the file %q is no token; expected at least %d ASCII characters, such as openssl rand -hex 32 prints", i+1, clip(path), minToken)
			return
		}
	}
}
