package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// question is what the commands have in common that ask the proxies of a mesh.
type question struct {
	admin, peers []string
	consul       string
	consulToken  string // its file
	mesh         string
	tokenFile    string
	tls          struct {
		ca, cert, key string
		san           []string
	}
	timeout time.Duration
	asJSON  bool
}

// tokenEnv names the file of the token where no flag does.
const tokenEnv = "HOPSCOPE_TOKEN_FILE"

func (q *question) addFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringSliceVar(&q.admin, "admin", []string{"127.0.0.1:9901"}, "ask the proxy whose admin API is at `ADDR`, host:port, and through it all proxies of its mesh; repeat it, or separate several by commas")
	p.StringSliceVar(&q.peers, "peers", nil, "ask these proxies themselves, too, or only these if --admin is not given: `ADDR`, separated by commas")
	p.StringVar(&q.consul, "consul", "", "ask all proxies that are registered with the Consul agent at `ADDR`, host:port or a URL")
	p.StringVar(&q.consulToken, "consul-token-file", "", "show the ACL token in `FILE` to Consul (default $CONSUL_HTTP_TOKEN)")
	p.StringVar(&q.mesh, "mesh", "", "of those in Consul, ask only the proxies of the mesh `NAME`")
	q.addAccessFlags(c)
	p.DurationVar(&q.timeout, "timeout", 3*time.Second, "wait this long for all answers")
	p.BoolVar(&q.asJSON, "json", false, "print JSON")
}

// addAccessFlags adds the flags that say how admin APIs are reached.
func (q *question) addAccessFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&q.tokenFile, "token-file", os.Getenv(tokenEnv), "show the token in `FILE` to them (default $"+tokenEnv+")")
	p.StringVar(&q.tls.ca, "tls-ca", "", "reach them over TLS, and verify them by the CA certificates in `FILE`")
	p.StringVar(&q.tls.cert, "tls-cert", "", "show the certificate in `FILE` to them")
	p.StringVar(&q.tls.key, "tls-key", "", "private key of --tls-cert in `FILE`")
	p.StringSliceVar(&q.tls.san, "tls-san", nil, "over TLS, reach proxies whose certificate has one of these `NAMES`, in place of their address: DNS names and SPIFFE ids")
	c.Flag("token-file").DefValue = "" // what is in the environment is nobody's default
	for _, name := range []string{"tls-ca", "tls-cert", "tls-key"} {
		c.MarkFlagFilename(name, "pem", "crt", "cer", "key")
	}
}

// asks reports whether the command line says whom to ask.
func (q *question) asks(c *cobra.Command) bool {
	return c.Flags().Changed("admin") || c.Flags().Changed("peers") || q.consul != ""
}

// client returns who is asked, or a misuse.
func (q *question) client(c *cobra.Command) (*mesh.Client, error) {
	switch {
	case q.timeout <= 0:
		return nil, exit{exitMisuse, misuse(c, errors.New("--timeout must be more than 0"))}
	case q.consul == "" && (q.consulToken != "" || q.mesh != ""):
		return nil, exit{exitMisuse, misuse(c, errors.New("--consul-token-file and --mesh go with --consul"))}
	}
	o := mesh.Options{Peers: q.peers}
	if len(q.peers) == 0 && q.consul == "" || c.Flags().Changed("admin") {
		o.Admin = q.admin
	}
	var err error
	if q.consul != "" {
		if o.Members, err = q.registered(c.Context()); err != nil {
			return nil, err
		}
	}
	if o.Access, err = q.access(); err != nil {
		return nil, err
	}
	client, err := mesh.New(o)
	if err != nil {
		return nil, exit{exitMisuse, misuse(c, err)}
	}
	return client, nil
}

// registered asks Consul for the proxies of the mesh.
func (q *question) registered(ctx context.Context) (all []mesh.Member, err error) {
	connection := consul.Connection{Address: q.consul, TokenFile: q.consulToken}
	if q.consulToken == "" {
		connection.Token = os.Getenv("CONSUL_HTTP_TOKEN")
	}
	client, err := consul.NewClient(connection)
	if err != nil {
		return nil, fmt.Errorf("--consul: %w", err)
	}
	defer client.Close()
	source, err := client.Service(consul.Options{Service: mesh.ConsulService})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	err = fmt.Errorf("--consul: the agent at %s does not answer within %v", q.consul, q.timeout)
	source.Run(ctx, func(u discovery.Update) {
		defer cancel() // the first answer will do
		if err = u.Err; err != nil {
			return
		}
		for _, e := range u.Endpoints {
			if m, name, ok := mesh.FromMetadata(e.Address, e.Metadata); ok && (q.mesh == "" || q.mesh == name) {
				all = append(all, m)
			}
		}
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0 && q.mesh != "":
		return nil, fmt.Errorf("no proxy of the mesh %s is registered in Consul at %s", q.mesh, q.consul)
	case len(all) == 0:
		return nil, fmt.Errorf("no proxy is registered in Consul at %s: set mesh.consul in the configuration of each", q.consul)
	}
	return all, nil
}

// access is how the proxies are reached.
func (q *question) access() (a mesh.Access, err error) {
	if q.tokenFile != "" {
		if a.Tokens, err = mesh.OpenTokens(q.tokenFile); err != nil {
			return a, fmt.Errorf("--token-file: %w", err)
		}
	}
	ofTLS := func(address string) bool { return strings.HasPrefix(strings.TrimSpace(address), "https://") }
	if q.tls.ca == "" && q.tls.cert == "" && q.tls.key == "" && len(q.tls.san) == 0 && !slices.ContainsFunc(q.admin, ofTLS) && !slices.ContainsFunc(q.peers, ofTLS) {
		return a, nil
	}
	client, err := tlsconf.NewClient(tlsconf.ClientOptions{
		CA: q.tls.ca, Cert: q.tls.cert, Key: cmp.Or(q.tls.key, q.tls.cert), SAN: q.tls.san, ALPN: []string{"http/1.1"},
	})
	if err != nil {
		return a, fmt.Errorf("--tls-ca, --tls-cert, --tls-key: %w", err)
	}
	a.TLS, a.Close = client.Config, client.Close
	return a, nil
}

// next is the command that shows a trace, and asks the same proxies.
func (q *question) next(c *cobra.Command, trace string) string {
	words := []string{"hopscope trace", trace}
	if c.Flags().Changed("admin") {
		words = append(words, "--admin "+strings.Join(q.admin, ","))
	}
	if len(q.peers) > 0 {
		words = append(words, "--peers "+strings.Join(q.peers, ","))
	}
	for _, name := range []string{"consul", "consul-token-file", "mesh", "token-file", "tls-ca", "tls-cert", "tls-key"} {
		if f := c.Flag(name); f.Changed {
			words = append(words, "--"+name+" "+f.Value.String())
		}
	}
	if len(q.tls.san) > 0 {
		words = append(words, "--tls-san '"+strings.Join(q.tls.san, ",")+"'")
	}
	return strings.Join(words, " ")
}

// errNobody ends a command that nobody answered.
var errNobody = exit{exitError, errors.New("no proxy answered: give the addresses of their admin APIs with --admin or --peers, or that of Consul with --consul")}

// limited returns a context that ends with the time for all answers, or on Ctrl-C.
func (q *question) limited(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	return ctx, func() { cancel(); stop() }
}
