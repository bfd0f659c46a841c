package cmd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
)

// question is what the commands have in common that ask the proxies of a mesh.
type question struct {
	admin, peers []string
	timeout      time.Duration
	asJSON       bool
}

func (q *question) addFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringSliceVar(&q.admin, "admin", []string{"127.0.0.1:9901"}, "ask the proxy whose admin API is at `ADDR`, host:port, and through it all proxies of its mesh; repeat it, or separate several by commas")
	p.StringSliceVar(&q.peers, "peers", nil, "ask these proxies themselves, too, or only these if --admin is not given: `ADDR`, separated by commas")
	p.DurationVar(&q.timeout, "timeout", 3*time.Second, "wait this long for all answers")
	p.BoolVar(&q.asJSON, "json", false, "print JSON")
}

// asks reports whether the command line says whom to ask.
func (q *question) asks(c *cobra.Command) bool {
	return c.Flags().Changed("admin") || c.Flags().Changed("peers")
}

// client returns who is asked, or a misuse.
func (q *question) client(c *cobra.Command) (*mesh.Client, error) {
	if q.timeout <= 0 {
		return nil, exit{exitMisuse, misuse(c, errors.New("--timeout must be more than 0"))}
	}
	o := mesh.Options{Peers: q.peers}
	if len(q.peers) == 0 || c.Flags().Changed("admin") {
		o.Admin = q.admin
	}
	client, err := mesh.New(o)
	if err != nil {
		return nil, exit{exitMisuse, misuse(c, err)}
	}
	return client, nil
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
	return strings.Join(words, " ")
}

// errNobody ends a command that nobody answered.
var errNobody = exit{exitError, errors.New("no proxy answered: give the addresses of their admin APIs with --admin or --peers")}

// limited returns a context that ends with the time for all answers, or on Ctrl-C.
func (q *question) limited(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	return ctx, func() { cancel(); stop() }
}
