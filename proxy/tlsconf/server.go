package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

// ClientAuth says whether clients have to show a certificate.
type ClientAuth uint8

const (
	// None asks clients for no certificate.
	None ClientAuth = iota
	// Request asks for one and verifies it, and takes clients without one too.
	Request
	// Require refuses clients that show none.
	Require
)

// ServerOptions are a Server's settings.
type ServerOptions struct {
	// Name is the listener's, for the log.
	Name string
	// Certificates are chosen by the name that the client asks for (SNI): one for the whole
	// name, then one with a wildcard, then the first. Of several for a name, the first that
	// the client can verify is used.
	Certificates []Files
	// ClientAuth says whether clients have to show a certificate.
	ClientAuth ClientAuth
	// ClientCA is the file of the authorities that sign clients' certificates. It is needed
	// unless ClientAuth is None.
	ClientCA string
	// ClientSAN lists who is let in: DNS names ("*.example.com" is any one label in place
	// of the "*"), SPIFFE ids, SPIFFE ids whose last segment is "*" (any id below), and
	// trust domains ("spiffe://mesh"). Empty lets in everyone whose certificate the
	// authorities signed.
	ClientSAN []string
	// CRL is a file of the authorities' revocation lists, in PEM or DER, ""
	// for none. A list that is out of date is used, with a warning.
	CRL string
	// MinVersion and MaxVersion bound the versions of TLS, such as
	// tls.VersionTLS12; 0 is 1.2 and the newest.
	MinVersion, MaxVersion uint16
	// ALPN lists the protocols that clients may choose, the best first. A
	// client that uses ALPN and speaks none of them is refused.
	ALPN []string
	// SessionTickets lets clients resume sessions.
	SessionTickets bool
	// Log tells of reloads; nil is for nobody.
	Log *slog.Logger
	// Note remembers them; nil remembers none.
	Note func(kind events.Kind, text string)
}

// Server is the TLS configuration of a listener. Close it.
type Server struct {
	live
	options  ServerOptions
	patterns []pattern
	config   *tls.Config
	current  atomic.Pointer[served]
	version  atomic.Uint64 // of the files

	mu        sync.Mutex
	listening map[*func()]struct{} // what is called when the files have changed
}

// served is what the files of a Server hold at a time.
type served struct {
	config *tls.Config
	// refusing is the same for clients that speak HTTP/1.1 alone to a listener
	// of HTTP/2 alone: crypto/tls would let them go on, without a protocol. It
	// has none that anybody speaks. It is nil for other listeners.
	refusing *tls.Config
	first    *x509.Certificate
	lists    revocations
}

func newServed(config *tls.Config, first *x509.Certificate, lists revocations) *served {
	s := &served{config: config, first: first, lists: lists}
	if slices.Contains(config.NextProtos, "h2") && !slices.Contains(config.NextProtos, "http/1.1") {
		s.refusing = config.Clone()
		s.refusing.NextProtos = []string{"none"}
	}
	return s
}

func (s *served) configFor(hello *tls.ClientHelloInfo) *tls.Config {
	if s.refusing == nil || !slices.Contains(hello.SupportedProtos, "http/1.1") {
		return s.config
	}
	for _, p := range hello.SupportedProtos {
		if slices.Contains(s.config.NextProtos, p) {
			return s.config
		}
	}
	return s.refusing
}

// NewServer loads the files and watches them. Its errors name the file and
// what is wrong with it.
func NewServer(o ServerOptions) (*Server, error) {
	if len(o.Certificates) == 0 {
		return nil, errors.New("a certificate and its key are needed to serve TLS")
	}
	if o.ClientAuth != None && o.ClientCA == "" {
		return nil, errors.New("client certificates can not be verified without the file of their authorities (client_ca)")
	}
	if o.ClientAuth == None {
		o.ClientCA, o.CRL = "", ""
	}
	s := &Server{options: o}
	var err error
	if s.patterns, err = parsePatterns(o.ClientSAN); err != nil {
		return nil, err
	}
	// Tickets are sealed with this Config's keys, which crypto/tls makes and
	// rotates itself: those that it asks for a Config have no keys of their
	// own. So a session outlives a reload.
	s.config = &tls.Config{
		GetConfigForClient:     func(h *tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().configFor(h), nil },
		SessionTicketsDisabled: !o.SessionTickets,
	}
	var files []string
	for _, f := range o.Certificates {
		files = append(files, f.Cert, f.Key)
	}
	files = append(files, present(o.ClientCA, o.CRL)...)
	s.changed = s.tell
	if err := s.open(o.Log, o.Note, "listener", o.Name, files, s.loadFiles); err != nil {
		return nil, err
	}
	return s, nil
}

// Config returns the configuration for all connections of the listener. Each handshake uses
// what was loaded last. Don't clone it: it has the keys of session tickets.
func (s *Server) Config() *tls.Config { return s.config }

// URIs returns the URIs of the first certificate, such as a SPIFFE id: who this side is,
// for a client that does not ask for a name.
func (s *Server) URIs() []string {
	var all []string
	for _, u := range s.current.Load().first.URIs {
		all = append(all, u.String())
	}
	return all
}

// loadFiles makes the Config of the connections to come.
func (s *Server) loadFiles() (*contents, error) {
	o, c, now := &s.options, &contents{}, time.Now()
	var pairs []*tls.Certificate
	for _, f := range o.Certificates {
		pair, warning, err := loadPair(f, now)
		if err != nil {
			return nil, err
		}
		c.warn(warning)
		c.leaves = append(c.leaves, pair.Leaf)
		pairs = append(pairs, pair)
	}
	config := baseConfig(o.MinVersion, o.MaxVersion, o.ALPN)
	config.SessionTicketsDisabled = !o.SessionTickets
	config.GetCertificate = newChooser(pairs).choose
	var lists revocations
	if o.ClientAuth != None {
		var err error
		if lists, err = s.verifyClients(config, c, now); err != nil {
			return nil, err
		}
	}
	s.current.Store(newServed(config, pairs[0].Leaf, lists))
	s.version.Add(1)
	return c, nil
}

// verifyClients has clients asked for a certificate. That it is valid and signed
// by an authority, crypto/tls sees to, for a session that is resumed too: against
// the authorities of that time. So does VerifyConnection with what is checked
// here, and no ticket outlives what it was given for.
func (s *Server) verifyClients(config *tls.Config, c *contents, now time.Time) (revocations, error) {
	o := &s.options
	authorities, pool, err := loadAuthorities(o.ClientCA, now, c)
	if err != nil {
		return nil, err
	}
	var lists revocations
	if o.CRL != "" {
		if lists, err = loadRevocations(o.CRL, authorities, now, c); err != nil {
			return nil, err
		}
	}
	config.ClientCAs = pool
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if o.ClientAuth == Require {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		if err := letIn(s.patterns, state.PeerCertificates[0]); err != nil {
			return err
		}
		return lists.check(state.VerifiedChains)
	}
	return lists, nil
}

// baseConfig is what both sides have in common.
func baseConfig(least, most uint16, alpn []string) *tls.Config {
	if least == 0 {
		least = tls.VersionTLS12
	}
	return &tls.Config{
		MinVersion: least, MaxVersion: most, NextProtos: alpn,
		// Of TLS 1.2, the suites that encrypt and authenticate at once (AEAD)
		// with ephemeral keys. Those of TLS 1.3 all do.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		DynamicRecordSizingDisabled: true,
	}
}

// present are the paths that are given.
func present(paths ...string) []string {
	var all []string
	for _, p := range paths {
		if p != "" {
			all = append(all, p)
		}
	}
	return all
}
