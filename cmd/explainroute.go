package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/process"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// routeFlags are the flags of explain that are about a request.
type routeFlags struct {
	location string // of the configuration
	hop      string // the trace id of a request that happened
	request  explain.Request
	chance   float64
	all      bool
}

func (f *routeFlags) add(c *cobra.Command) {
	addConfigFlag(c, &f.location)
	c.Flags().StringVar(&f.hop, "hop", "", "explain the request, or the requests, of the trace `ID`")
	c.Flags().StringArrayVarP(&f.request.Headers, "header", "H", nil, "a `FIELD` of the request, such as 'x-user-group: beta'; may be given several times")
	c.Flags().StringVar(&f.request.Listener, "listener", "", "the `NAME` of the listener that the request comes to (default: by the URL's port, or the first that has a route)")
	c.Flags().StringVar(&f.request.Client, "client", "", "the `ADDRESS` of the client (default 127.0.0.1)")
	c.Flags().StringVar(&f.request.Identity, "identity", "", "a `NAME` in the client's certificate: a DNS name or a SPIFFE id")
	c.Flags().BoolVar(&f.request.HTTP2, "http2", false, "the request comes over HTTP/2")
	c.Flags().Float64Var(&f.chance, "chance", 0, "a number from 0 to 100: a route takes the request if its `PERCENT` is above it (default: the route that most requests take)")
	c.Flags().BoolVar(&f.all, "all", false, "list every earlier route, however many there are")
}

// used reports whether a flag was given that is about a request.
func (f *routeFlags) used(c *cobra.Command) bool {
	return slices.ContainsFunc([]string{"header", "listener", "client", "identity", "http2", "chance", "all"}, c.Flags().Changed)
}

// explainRoute explains what becomes of a request by a configuration.
func (f *routeFlags) explainRoute(c *cobra.Command, args []string, asJSON bool) error {
	r := f.request
	switch {
	case len(args) == 1:
		r.URL = args[0]
	case len(args) == 2:
		r.Method, r.URL = args[0], args[1]
	default:
		return misuse(c, errors.New("expected a method and a URL, such as GET https://shop/cart/7"))
	}
	if c.Flags().Changed("chance") {
		r.Chance = &f.chance
	}
	read, err := process.Check(c.Context(), f.location, environment(c))
	if err != nil {
		return err
	}
	e, err := snapshot.NewExplainer(read)
	if err != nil {
		return err
	}
	defer e.Close()
	explanation, err := e.Explain(r)
	if err != nil {
		return err
	}
	return writeExplanation(c.OutOrStdout(), explanation, asJSON, f.all)
}

// writeExplanation prints an explanation.
func writeExplanation(w io.Writer, e *explain.Explanation, asJSON, all bool) error {
	if !asJSON {
		_, err := io.WriteString(w, strings.Map(printable, e.Text(all)))
		return err
	}
	j := json.NewEncoder(w)
	j.SetEscapeHTML(false)
	j.SetIndent("", "  ")
	return j.Encode(e)
}

// printable keeps what other proxies and requests say from steering the terminal.
func printable(r rune) rune {
	if r != '\n' && unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// environment is what the environment says, with what can't be used of it said.
func environment(c *cobra.Command) *config.Environment {
	e := config.ReadEnvironment(os.Getenv)
	for _, w := range e.Warnings() {
		fmt.Fprintf(c.ErrOrStderr(), "an environment variable can't be used: %s\n", w)
	}
	return e
}
