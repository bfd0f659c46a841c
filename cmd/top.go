package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/mesh/top"
)

func newTop() *cobra.Command {
	var q question
	var interval time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Show the rate, errors and latency of services and edges, live over all proxies",
		Long: `Top asks every proxy how many requests it has counted, again and again, and shows
what happened in between: requests and failures a second, and how long they take (the
median, and what 99 of 100 did not exceed), for each service and for each edge, which
is a service that calls another. What fails most comes first.

On a terminal it is a table that is drawn anew; Ctrl-C ends it. Elsewhere, each table
follows the one before. The numbers are exact counts.

Exit codes:
  0  it was shown
  1  an error, such as that no proxy answered
  2  the command line is wrong`,
		Example: `  # what goes on now
  hopscope top --admin 10.0.0.1:9901

  # what went on in five seconds, for a script
  hopscope top --once --interval 5s --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond {
				return exit{exitMisuse, misuse(c, errors.New("--interval must be at least 100ms"))}
			}
			return q.live(c, func(ctx context.Context, client *mesh.Client) error {
				return q.top(ctx, c, client, interval, once)
			})
		},
	}
	misuseCode(c)
	q.addFlags(c)
	c.Flags().DurationVar(&interval, "interval", 2*time.Second, "show what happened in this time")
	c.Flags().BoolVar(&once, "once", false, "show one table, and end")
	return c
}

// top shows tables until ctx is over, or one.
func (q *question) top(ctx context.Context, c *cobra.Command, client *mesh.Client, interval time.Duration, once bool) error {
	w := c.OutOrStdout()
	screen := !once && !q.asJSON && isScreen(w)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var before map[string]*top.Counts
	for first := true; ; first = false {
		limit, cancel := context.WithTimeout(ctx, q.timeout)
		after, peers := client.Top(limit)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case !mesh.AnyAnswered(peers) && (first || once):
			_, _ = w.Write(mesh.AppendPeers(nil, peers)) // the error says it, too
			return errNobody
		}
		if !first {
			text, err := q.table(top.Rates(before, after), peers, w, screen)
			if err != nil {
				return err
			}
			if _, err := w.Write(text); err != nil || once {
				return err
			}
		}
		before = after
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
