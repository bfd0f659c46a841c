package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/mesh/top"
)

func newTail() *cobra.Command {
	var q question
	var failed, active bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show requests live over all proxies, as they end or under way",
		Long: `Tail shows requests as they end, one line for each trace and a second one for who is
at fault if it failed, until Ctrl-C. A line comes a moment after the request has ended, so that
what all proxies know of it can be put together.

With --active it shows the requests that are under way for longest, and what each waits
for, every two seconds.

What is missing, since a proxy does not answer or requests come too fast, is said on
standard error.

Exit codes:
  0  Ctrl-C ended it
  1  an error, such as that no proxy answered
  2  the command line is wrong`,
		Example: `  # what fails now
  hopscope tail --failed --admin 10.0.0.1:9901

  # what hangs
  hopscope tail --active`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if failed && active {
				return exit{exitMisuse, misuse(c, errors.New("a request under way has not failed yet: leave out --failed or --active"))}
			}
			return q.live(c, func(ctx context.Context, client *mesh.Client) error {
				if active {
					return q.tailActive(ctx, c, client)
				}
				return q.tail(ctx, c, client, failed)
			})
		},
	}
	misuseCode(c)
	q.addFlags(c)
	c.Flags().BoolVar(&failed, "failed", false, "only requests that failed, or had a failure inside")
	c.Flags().BoolVar(&active, "active", false, "the requests under way instead")
	return c
}

// live runs a command that goes on until Ctrl-C.
func (q *question) live(c *cobra.Command, run func(ctx context.Context, client *mesh.Client) error) error {
	client, err := q.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, client)
}

// tail shows requests as they end.
func (q *question) tail(ctx context.Context, c *cobra.Command, client *mesh.Client, failed bool) error {
	w, notes := c.OutOrStdout(), c.ErrOrStderr()
	color := textOptions(w).Color
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var broken error
	err := client.Tail(ctx, mesh.TailOptions{
		Failed: failed,
		Trace: func(s mesh.Summary) {
			s.Next = q.next(c, s.TraceID)
			text, err := []byte(nil), error(nil)
			if q.asJSON {
				text, err = compact(s)
			} else {
				text = s.AppendText(nil, color)
			}
			if err == nil {
				_, err = w.Write(text)
			}
			if err != nil {
				broken = err
				cancel()
			}
		},
		Note: func(peer, text string) { fmt.Fprintf(notes, "hopscope: %s: %s\n", peer, text) },
	})
	switch {
	case broken != nil:
		return broken
	case err != nil:
		return errNobody
	}
	return nil
}

// compact is v as JSON on one line.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// activeEvery is how often the requests under way are shown, and mostActive how many.
const (
	activeEvery = 2 * time.Second
	mostActive  = 20
)

// tailActive shows the requests under way.
func (q *question) tailActive(ctx context.Context, c *cobra.Command, client *mesh.Client) error {
	w := c.OutOrStdout()
	screen := !q.asJSON && isScreen(w)
	for first := true; ; first = false {
		limit, cancel := context.WithTimeout(ctx, q.timeout)
		found := client.Active(limit, mostActive)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case found.Answered() == 0 && first:
			_, _ = w.Write(mesh.AppendPeers(nil, found.Peers)) // the error says it, too
			return errNobody
		}
		text := found.AppendText(nil)
		if q.asJSON {
			var err error
			if text, err = compact(found); err != nil {
				return err
			}
		}
		if _, err := w.Write(redraw(screen, text)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(activeEvery):
		}
	}
}

// isScreen reports whether w can be drawn on.
func isScreen(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f)
}

// redraw puts a text in the place of what a screen shows.
func redraw(screen bool, text []byte) []byte {
	if !screen {
		return append(text, '\n')
	}
	return append([]byte("\x1b[H\x1b[2J"), text...)
}

// table is a table of rates as it is written.
func (q *question) table(t *top.Table, peers []mesh.Peer, w io.Writer, screen bool) ([]byte, error) {
	if q.asJSON {
		return indented(mesh.Rates{Table: t, Peers: peers})
	}
	rows := 0
	if screen {
		rows = max((terminalHeight(w.(*os.File))-8)/2, 3)
	}
	text := fmt.Appendf(nil, "%s UTC, over %s\n\n", time.Now().UTC().Format("15:04:05"), strconv.FormatFloat(t.Interval.Seconds(), 'f', 1, 64)+" s")
	text = t.AppendText(text, textOptions(w), rows)
	return redraw(screen, mesh.AppendPeers(text, peers)), nil
}
