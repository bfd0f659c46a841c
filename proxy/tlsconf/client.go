package tlsconf

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/events"
)

// ClientOptions are a Client's settings.
type ClientOptions struct {
	// Kind says in the log what Name is the name of; default "cluster".
	Kind, Name string
	// CA is the file of the authorities that sign the endpoints' certificates. "" is the
	// system's.
	CA string
	// SNI is the server name to ask for; the certificate must be for it. "" is the
	// endpoint's host. An IP address is verified, but not asked for.
	SNI string
	// Cert and Key are the files of the certificate to show to endpoints that ask for one;
	// "" is none.
	Cert, Key string
	// SAN lists names of which the certificate must have one, instead of the name that was
	// asked for. They have the forms of ServerOptions.ClientSAN.
	SAN []string
	// SPKI lists pins: SHA-256 of a public key (SubjectPublicKeyInfo), in base64. If there
	// are any, the endpoint's certificate, or one above it, must match one of them.
	SPKI []string
	// CRL is a file of revocation lists of the authorities in CA, in PEM or
	// DER, "" for none. A list that is out of date is used, with a warning.
	CRL string
	// Insecure accepts any certificate; pins still count.
	Insecure bool
	// MinVersion and MaxVersion bound the versions of TLS, such as
	// tls.VersionTLS12; 0 is 1.2 and the newest.
	MinVersion, MaxVersion uint16
	// ALPN lists the protocols to choose from, the best first.
	ALPN []string
	// Log tells of reloads; nil is for nobody.
	Log *slog.Logger
	// Note remembers them; nil remembers none.
	Note func(kind events.Kind, text string)
}

// Client is the TLS configuration of a cluster. Close it.
type Client struct {
	live
	options  ClientOptions
	patterns []pattern
	pins     map[[sha256.Size]byte]bool

	mu       sync.Mutex
	current  *trusted
	shown    *x509.Certificate                 // our own certificate
	configs  map[string]*tls.Config            // by host, of current
	sessions map[string]tls.ClientSessionCache // by host
}

// trusted is what the files of a Client hold at a time.
type trusted struct {
	roots       *x509.CertPool // nil for the system's
	revocations revocations
	pair        *tls.Certificate // nil for none
}

// NewClient loads the files and watches them. Its errors name the file and
// what is wrong with it.
func NewClient(o ClientOptions) (*Client, error) {
	switch {
	case (o.Cert == "") != (o.Key == ""):
		return nil, errors.New("a certificate and its key are only of use together (cert, key)")
	case o.CRL != "" && o.CA == "":
		return nil, errors.New("a revocation list (crl) can be verified only with the file of its authorities (ca)")
	}
	c := &Client{options: o, sessions: map[string]tls.ClientSessionCache{}}
	var err error
	if c.patterns, err = parsePatterns(o.SAN); err != nil {
		return nil, err
	}
	if c.pins, err = parsePins(o.SPKI); err != nil {
		return nil, err
	}
	if err := c.open(o.Log, o.Note, cmp.Or(o.Kind, "cluster"), o.Name, present(o.CA, o.Cert, o.Key, o.CRL), c.loadFiles); err != nil {
		return nil, err
	}
	return c, nil
}

func parsePins(texts []string) (map[[sha256.Size]byte]bool, error) {
	pins := make(map[[sha256.Size]byte]bool, len(texts))
	for _, text := range texts {
		pin, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(pin) != sha256.Size {
			return nil, fmt.Errorf("the pin %q is not the SHA-256 of a public key in base64", text)
		}
		pins[[sha256.Size]byte(pin)] = true
	}
	return pins, nil
}

// loadFiles makes what the connections to come are verified with.
func (c *Client) loadFiles() (*contents, error) {
	o, found, now := &c.options, &contents{}, time.Now()
	t := &trusted{}
	if o.CA != "" {
		authorities, pool, err := loadAuthorities(o.CA, now, found)
		if err != nil {
			return nil, err
		}
		t.roots = pool
		if o.CRL != "" {
			if t.revocations, err = loadRevocations(o.CRL, authorities, now, found); err != nil {
				return nil, err
			}
		}
	}
	var leaf *x509.Certificate
	if o.Cert != "" {
		pair, warning, err := loadPair(Files{o.Cert, o.Key}, now)
		if err != nil {
			return nil, err
		}
		found.warn(warning)
		t.pair, leaf = pair, pair.Leaf
		found.leaves = append(found.leaves, leaf)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !leaf.Equal(c.shown) {
		// A session goes on under the certificate that it began with.
		clear(c.sessions)
	}
	c.current, c.shown, c.configs = t, leaf, map[string]*tls.Config{}
	return found, nil
}

// Config returns the configuration for connections to an endpoint of that host: a name, or
// an IP address without a port. It returns the same one until the next reload.
func (c *Client) Config(host string) *tls.Config {
	host = message.LowerHost(host)
	c.mu.Lock()
	defer c.mu.Unlock()
	if config := c.configs[host]; config != nil {
		return config
	}
	const most = 4096 // endpoints come and go
	if len(c.configs) >= most {
		clear(c.configs)
		clear(c.sessions)
	}
	config := c.newConfig(host, c.current)
	if config.ClientSessionCache = c.sessions[host]; config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		c.sessions[host] = config.ClientSessionCache
	}
	c.configs[host] = config
	return config
}

func (c *Client) newConfig(host string, t *trusted) *tls.Config {
	o := &c.options
	config := baseConfig(o.MinVersion, o.MaxVersion, o.ALPN)
	config.ServerName = host
	if o.SNI != "" {
		config.ServerName = o.SNI
	}
	name := config.ServerName
	// crypto/tls knows no other names than ServerName, nor revocation. So all
	// is verified in one place, which a session that is resumed passes too.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		return c.verify(t, name, state.PeerCertificates)
	}
	if t.pair != nil {
		// Shown whatever authorities the endpoint names: its refusal then says
		// more than that a certificate is missing.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.pair, nil }
	}
	return config
}

// verify accepts the certificate of an endpoint that was asked for a name, or
// says why not.
func (c *Client) verify(t *trusted, name string, shown []*x509.Certificate) error {
	if c.options.Insecure {
		return c.checkPinned(shown)
	}
	leaf := shown[0]
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: poolOf(shown[1:])})
	if err == nil && len(c.patterns) == 0 {
		err = leaf.VerifyHostname(name)
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: shown, Err: err}
	}
	if err := letIn(c.patterns, leaf); err != nil {
		return err
	}
	if err := t.revocations.check(chains); err != nil {
		return err
	}
	if len(c.pins) == 0 {
		return nil
	}
	for _, chain := range chains {
		for _, certificate := range chain {
			if c.pins[pinOf(certificate)] {
				return nil
			}
		}
	}
	return &refusal{wrongPin, leaf, textOf(pinOf(leaf))}
}

// checkPinned looks for a pinned key where nothing else is verified. What an
// endpoint shows beside its own certificate may be anybody's: it counts if it
// has signed that.
func (c *Client) checkPinned(shown []*x509.Certificate) error {
	leaf := shown[0]
	if len(c.pins) == 0 || c.pins[pinOf(leaf)] {
		return nil
	}
	for _, above := range shown[1:] {
		if !c.pins[pinOf(above)] {
			continue
		}
		o := x509.VerifyOptions{Roots: poolOf([]*x509.Certificate{above}), Intermediates: poolOf(shown[1:])}
		if _, err := leaf.Verify(o); err == nil {
			return nil
		}
	}
	return &refusal{wrongPin, leaf, textOf(pinOf(leaf))}
}

func pinOf(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

func textOf(pin [sha256.Size]byte) string { return base64.StdEncoding.EncodeToString(pin[:]) }

func poolOf(all []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool
}
