package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

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

It needs to reach one proxy of a mesh only (--admin), which passes the question on to
the others (docs/mesh.md), or reaches each proxy itself (--peers).

It says which proxies did not answer. What the others know is shown all the same.

With --logs it asks nobody, and reads the access logs of any number of proxies: the
default lines of docs/access-log.md, among others or after a prefix, also of files that
were compressed by gzip. Names of more files may follow; - is standard input.

Exit codes:
  0  the trace was found, and its request did not fail
  1  an error, such as that no proxy answered or that a log can't be read
  2  the command line is wrong
  3  the trace was found, and its request failed
  4  neither a proxy that answered nor a log has the trace`,
		Example: `  # ask the proxy on this machine
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736

  # ask another proxy, and through it all proxies of its mesh
  hopscope trace 4bf92f3577b34da6a3ce929d0e0e4736 --admin 10.0.0.1:9901

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
				if q.asks(c) {
					return exit{exitMisuse, misuse(c, errors.New("--logs asks no proxies: leave out --admin, --peers and --consul"))}
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
			return q.show(c.OutOrStdout(), client.Find(ctx, id))
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
