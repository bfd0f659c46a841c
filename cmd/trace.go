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
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// question is what the commands have in common that ask the proxies of a mesh.
type question struct {
	admin, peers []string
	timeout      time.Duration
	asJSON       bool
}

func (q *question) addFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringSliceVar(&q.admin, "admin", []string{"127.0.0.1:9901"}, "ask the proxy whose admin API is at `ADDR`, host:port; repeat it, or separate several by commas")
	p.StringSliceVar(&q.peers, "peers", nil, "ask these proxies, too, or only these if --admin is not given: `ADDR`, separated by commas")
	p.DurationVar(&q.timeout, "timeout", 3*time.Second, "wait this long for all answers")
	p.BoolVar(&q.asJSON, "json", false, "print JSON")
}

// client returns who is asked, or a misuse.
func (q *question) client(c *cobra.Command) (*mesh.Client, error) {
	if q.timeout <= 0 {
		return nil, exit{exitMisuse, misuse(c, errors.New("--timeout must be more than 0"))}
	}
	addresses := q.peers
	if len(q.peers) == 0 || c.Flags().Changed("admin") {
		addresses = slices.Concat(q.admin, q.peers)
	}
	client, err := mesh.New(addresses)
	if err != nil {
		return nil, exit{exitMisuse, misuse(c, err)}
	}
	return client, nil
}

// errNobody ends a command that nobody answered.
var errNobody = exit{exitError, errors.New("no proxy answered: give the addresses of their admin APIs with --admin or --peers")}

// limited returns a context that ends with the time for all answers, or on Ctrl-C.
func (q *question) limited(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	return ctx, func() { cancel(); stop() }
}

func newTrace() *cobra.Command {
	var q question
	var logs []string
	c := &cobra.Command{
		Use:   "trace ID [--logs FILE...]",
		Short: "Show one trace over all proxies, and which hop failed",
		Long: `Trace asks the admin API of every proxy for the hops of a trace, all at once, and
puts them together: which service is at fault and why, what speaks for that, and
the waterfall. ID is a trace id, as in the access log or in traceparent: 32 hex digits,
or 16.

It says which proxies did not answer. What the others know is shown all the same.

With --logs it asks nobody, and reads the access logs of any number of proxies: the
lines of docs/access-log.md, among others or after a prefix. Names of more files may
follow; - is standard input.

Exit codes:
  0  the trace was found, and its request did not fail
  1  an error, such as that no proxy answered or that a log can't be read
  2  the command line is wrong
  3  the trace was found, and its request failed
  4  neither a proxy that answered nor a log has the trace`,
		Example: `  # ask the proxy on this machine
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736

  # ask three proxies
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736 --peers 10.0.0.1:9901,10.0.0.2:9901,10.0.0.3:9901

  # read access logs; nothing needs to run
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736 --logs web.log orders.log stock.log

  # for a script
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736 --json`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 1 && len(logs) == 0 {
				return fmt.Errorf("give one trace id, not %d", len(args))
			}
			_, err := mesh.ParseID(args[0])
			return err
		},
		RunE: func(c *cobra.Command, args []string) error {
			id, err := mesh.ParseID(args[0])
			if err != nil {
				return err
			}
			if len(logs) > 0 {
				if c.Flags().Changed("admin") || c.Flags().Changed("peers") {
					return exit{exitMisuse, misuse(c, errors.New("--logs asks no proxies: leave out --admin and --peers"))}
				}
				f, err := readLogs(c.InOrStdin(), id, append(logs, args[1:]...))
				if err != nil {
					return err
				}
				return q.show(c.OutOrStdout(), f)
			}
			client, err := q.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, done := q.limited(c)
			defer done()
			hops, peers := client.Trace(ctx, id)
			return q.show(c.OutOrStdout(), mesh.Assemble(id, hops, peers))
		},
	}
	misuseCode(c)
	q.addFlags(c)
	c.Flags().StringSliceVar(&logs, "logs", nil, "read access logs in place of asking proxies: `FILE`, or - for standard input; more may follow")
	return c
}

// readLogs reads access logs by their names.
func readLogs(stdin io.Reader, id hop.TraceID, names []string) (*mesh.Found, error) {
	var logs mesh.Logs
	for _, name := range names {
		if name == "-" {
			if err := logs.Read("standard input", stdin, id); err != nil {
				return nil, err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		err = logs.Read(name, f, id)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, err
		}
	}
	return logs.Assemble(id), nil
}

// show prints what was found of a trace, and ends the command.
func (q *question) show(w io.Writer, f *mesh.Found) error {
	text := f.AppendText(nil, textOptions(w))
	if q.asJSON {
		var err error
		if text, err = indented(f); err != nil {
			return err
		}
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	switch {
	case f.Failed():
		return exit{code: exitFailed}
	case len(f.Known) > 0:
		return nil
	}
	if f.Peers == nil {
		return exit{exitNotFound, fmt.Errorf("no line of these logs has trace %s", f.ID)}
	}
	if f.Answered() == 0 {
		return errNobody
	}
	return exit{exitNotFound, fmt.Errorf("no hop of trace %s is known: its hops were neither failed nor slow and had to make room, or it passed other proxies", f.ID)}
}

// indented is v as JSON for people, too.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
