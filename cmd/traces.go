package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
)

func newTraces() *cobra.Command {
	var q question
	var want mesh.Query
	c := &cobra.Command{
		Use:   "traces",
		Short: "List recent traces over all proxies, with who is at fault",
		Long: `Traces asks the admin API of every proxy for its recent traces, all at once, and
merges them, the latest first: the request, who is at fault and why, and the command
that shows the whole trace. The request and the culprit are those of the proxy that
saw the trace first.

It says which proxies did not answer. What the others know is shown all the same.

Exit codes:
  0  the list is there, even if it is empty
  1  an error, such as that no proxy answered
  2  the command line is wrong`,
		Example: `  # what failed in the last ten minutes, as three proxies know it
  hopscope traces --failed --since 10m --peers 10.0.0.1:9901,10.0.0.2:9901,10.0.0.3:9901

  # what is the fault of the service bank
  hopscope traces --culprit bank

  # what was slow at the service orders
  hopscope traces --slow --service orders`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if want.Limit < 1 || want.Limit > mesh.MaxTraces {
				return exit{exitMisuse, misuse(c, fmt.Errorf("--limit is a number from 1 to %d", mesh.MaxTraces))}
			}
			if want.Since < 0 {
				return exit{exitMisuse, misuse(c, errors.New("--since must not be negative"))}
			}
			client, err := q.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, done := q.limited(c)
			defer done()
			found := client.Traces(ctx, want)
			for i := range found.Traces {
				t := &found.Traces[i]
				t.Next = q.next(c, t.TraceID)
			}
			text := found.AppendText(nil)
			if q.asJSON {
				if text, err = indented(found); err != nil {
					return err
				}
			}
			if _, err := c.OutOrStdout().Write(text); err != nil {
				return err
			}
			if found.Answered() == 0 {
				return errNobody
			}
			return nil
		},
	}
	misuseCode(c)
	q.addFlags(c)
	p := c.Flags()
	p.BoolVar(&want.Failed, "failed", false, "only traces with a failed hop; with --slow, also those with a slow one")
	p.BoolVar(&want.Slow, "slow", false, "only traces with a slow hop; with --failed, also those with a failed one")
	p.StringVar(&want.Service, "service", "", "only traces with a hop of the service `NAME`, as its proxies saw them")
	p.StringVar(&want.Culprit, "culprit", "", "only traces whose failure is the fault of the service `NAME`, or of an edge such as \"payments -> bank\"")
	p.DurationVar(&want.Since, "since", 0, "only traces that began at most this long ago, such as 10m")
	p.IntVar(&want.Limit, "limit", 20, "list at most `N` traces")
	return c
}
