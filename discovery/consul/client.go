package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// Connection is how to reach a Consul agent. The environment variables CONSUL_HTTP_* do not
// count.
type Connection struct {
	// Address is the agent's HTTP API: host:port, http://host:port, https://host:port or
	// unix:///path. Empty is 127.0.0.1:8500.
	Address string
	// Token is sent with each request. Empty is the anonymous token.
	Token string
	// TokenFile holds the token instead. It is read for each request, so the token may
	// change at any time.
	TokenFile string
	TLS       TLS
}

// TLS is for agents whose address begins with https. All fields but ServerName and Insecure
// are paths of PEM files.
type TLS struct {
	CA         string // who may have signed the agent's certificate; empty: whom the system trusts
	Cert, Key  string // what this client shows; read again with each connection
	ServerName string // the name in the agent's certificate, if not that of Address
	Insecure   bool   // accept any certificate
}

// Client talks to one agent. All that it gives share its connections and its limit on
// requests.
type Client struct {
	address   string // as a person wrote it, for errors
	scheme    string
	host      string
	token     func() (string, error)
	transport *http.Transport
	limit     *rate.Limiter
}

const (
	defaultAddress = "127.0.0.1:8500"
	dialLimit      = 5 * time.Second

	// All watches of one client together ask no more often than this. A burst is many
	// watches that begin at the same time.
	requestsPerSecond = 300
	requestBurst      = 300
)

// NewClient returns a client. It does not ask the agent yet. The error says what is wrong
// with the connection's settings.
func NewClient(c Connection) (*Client, error) {
	client := &Client{address: c.Address, limit: rate.NewLimiter(requestsPerSecond, requestBurst)}
	if client.address == "" {
		client.address = defaultAddress
	}
	scheme, host, socket, err := parseAddress(client.address)
	if err != nil {
		return nil, err
	}
	client.scheme, client.host = scheme, host
	if client.token, err = tokens(c.Token, c.TokenFile); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialLimit, KeepAlive: 15 * time.Second}
	client.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if socket != "" {
				network, address = "unix", socket
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout: dialLimit,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 16,
	}
	if scheme == "https" {
		if client.transport.TLSClientConfig, err = c.TLS.config(); err != nil {
			return nil, err
		}
	} else if c.TLS != (TLS{}) {
		return nil, fmt.Errorf("consul address %q takes no TLS settings: begin it with https://", redact.URL(client.address))
	}
	return client, nil
}

// Close closes the connections that nothing is using.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// parseAddress takes an address apart; socket is the path of a Unix socket, or "".
func parseAddress(address string) (scheme, host, socket string, err error) {
	wrong := func(why string) (string, string, string, error) {
		return "", "", "", fmt.Errorf("consul address %q %s: write host:port, http://host:port, https://host:port or unix:///path", redact.URL(address), why)
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "http", address
	}
	switch scheme {
	case "http", "https":
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			return wrong("has no absolute path of a socket")
		}
		return "http", "localhost", rest, nil
	default:
		return wrong("is of an unknown kind")
	}
	u, err := url.Parse(scheme + "://" + rest)
	switch {
	case err != nil:
		return wrong("cannot be read")
	case u.User != nil:
		return wrong("must not hold a password")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return wrong("must end with the port")
	case u.Hostname() == "":
		return wrong("has no host")
	case u.Port() == "":
		port := "8500"
		if scheme == "https" {
			port = "8501"
		}
		return scheme, net.JoinHostPort(u.Hostname(), port), "", nil
	}
	return scheme, u.Host, "", nil
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("consul tls ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("consul tls ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("consul tls: cert and key are given together or not at all")
	}
	if t.Cert == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("consul tls: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}

// api makes HashiCorp's client for one namespace and partition, over this client's
// connections.
func (c *Client) api(namespace, partition string) (*api.Client, error) {
	return api.NewClient(&api.Config{
		Address: c.host,
		Scheme:  c.scheme,
		// A token there must be, or the environment's is taken, or its file read. What
		// is sent is up to the transport.
		Token: "given by the transport",
		HttpClient: &http.Client{
			Transport: transport{client: c, namespace: namespace, partition: partition},
			// A redirect would take the token to another server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
}
