package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newReady() *cobra.Command {
	q := question{timeout: 2 * time.Second}
	var address string
	c := &cobra.Command{
		Use:   "ready",
		Short: "Say whether the proxy takes traffic, for health checks",
		Long: `Ready asks the admin API of one proxy whether it takes traffic: for the health check
of a container that has no shell and no curl, and for scripts that wait.

If the admin API needs a token, anyone is told whether the proxy is ready, but only who
shows a token why it is not.

Exit codes:
  0  it takes traffic
  1  it does not, or does not answer
  2  the command line is wrong`,
		Example: `  # in a Dockerfile
  HEALTHCHECK CMD ["/hopscope", "ready"]

  # wait until a proxy on another port is ready
  until hopscope ready --admin 127.0.0.1:9902; do sleep 1; done`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if q.timeout <= 0 {
				return exit{exitMisuse, misuse(c, errors.New("--timeout must be more than 0"))}
			}
			if host, _, err := net.SplitHostPort(strings.TrimPrefix(address, "https://")); err != nil || host == "" {
				return exit{exitMisuse, misuse(c, fmt.Errorf("--admin %q: give host:port, such as 127.0.0.1:9901", address))}
			}
			q.admin = []string{address}
			ctx, done := q.limited(c)
			defer done()
			if err := q.ready(ctx, address); err != nil {
				return fmt.Errorf("%s: %w", address, err)
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "ready")
			return err
		},
	}
	misuseCode(c)
	c.Flags().StringVar(&address, "admin", "127.0.0.1:9901", "ask the proxy whose admin API is at `ADDR`, host:port")
	q.addAccessFlags(c)
	c.Flags().DurationVar(&q.timeout, "timeout", q.timeout, "wait this long for the answer")
	return c
}

// ready is nil if the proxy takes traffic.
func (q *question) ready(ctx context.Context, address string) error {
	access, err := q.access()
	if err != nil {
		return err
	}
	if access.Close != nil {
		defer access.Close()
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: it is this machine, or near
	target := url.URL{Scheme: "http", Host: strings.TrimPrefix(address, "https://"), Path: "/ready"}
	if access.TLS != nil {
		target.Scheme, transport.TLSClientConfig = "https", access.TLS(target.Hostname())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	if access.Tokens != nil {
		req.Header.Set("Authorization", "Bearer "+access.Tokens.First())
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err // the address is said already
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer); err != nil || answer.Error == "" {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return errors.New(answer.Error)
}
