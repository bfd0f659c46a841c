package cmd

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

func newWhy() *cobra.Command {
	var q question
	var since time.Duration
	c := &cobra.Command{
		Use:   "why",
		Short: "Say why requests fail, over all proxies: who is at fault, and what changed",
		Long: `Why is the command for the first minute of an incident. It asks every proxy what
failed, and ranks who is at fault over the whole mesh: how many requests failed for
it and since when, which routes suffer, who only relayed the failure, what the
failing requests have in common against those that went well, what changed just
before, and the command that shows an example. If nothing fails, it says so.

A failed request counts once, at the root of its trace or the first proxy that saw
it. It says which proxies did not answer. What the others know is shown all the same.

Exit codes:
  0  nothing failed
  1  an error, such as that no proxy answered
  2  the command line is wrong
  3  requests failed`,
		Example: `  # what failed in the last ten minutes, as three proxies know it
  hopscope why --peers 10.0.0.1:9901,10.0.0.2:9901,10.0.0.3:9901

  # in the last two minutes, for a script
  hopscope why --since 2m --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if since <= 0 {
				return exit{exitMisuse, misuse(c, errors.New("--since must be more than 0"))}
			}
			client, err := q.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, done := q.limited(c)
			defer done()
			found := client.Why(ctx, since)
			for i := range found.Causes {
				found.Causes[i].Next = q.next(c, found.Causes[i].TraceID)
			}
			for i := range found.Mended {
				found.Mended[i].Next = q.next(c, found.Mended[i].TraceID)
			}
			text := found.AppendText(nil, textOptions(c.OutOrStdout()))
			if q.asJSON {
				if text, err = indented(found); err != nil {
					return err
				}
			}
			if _, err := c.OutOrStdout().Write(text); err != nil {
				return err
			}
			switch {
			case found.Answered() == 0:
				return errNobody
			case found.Failed > 0:
				return exit{code: exitFailed}
			}
			return nil
		},
	}
	misuseCode(c)
	q.addFlags(c)
	c.Flags().DurationVar(&since, "since", 10*time.Minute, "look at this long until now, at most an hour")
	return c
}
