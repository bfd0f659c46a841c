package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/process"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

func newCheck() *cobra.Command {
	var location string
	var tests routeTests
	c := &cobra.Command{
		Use:                   "check -c FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Check a configuration file",
		Long: `Check reads a configuration file and says what is wrong with it: every mistake
with its line and column, what was expected, and the nearest valid key. It also
reads the certificates, keys, revocation lists and lists of endpoints that the
file names. It exits with 0 if nothing is wrong. It names routes that no request takes,
because one before them takes all of theirs; these are no mistakes.

With --tests it also runs tests of routes: requests, with what they must lead to. It says
which routes no test takes. The keys of such a file are in docs/explain.md.

Where the file says nothing, OpenTelemetry's environment variables count, as they do
for hopscope run: check names those that are set, and says which can't be used.`,
		Example: "  hopscope check -c hopscope.yaml\n  hopscope check -c hopscope.yaml --tests routes_test.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if location == "" {
				return misuse(c, errors.New("nothing to check: give a file with -c"))
			}
			e := environment(c)
			read, err := process.Check(c.Context(), location, e)
			if err != nil {
				return err
			}
			for _, u := range snapshot.Unreachable(read) {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", location, &u)
			}
			if used := e.Used(); len(used) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "environment variables that count where %s says nothing: %s\n", location, strings.Join(used, ", "))
			}
			if len(tests.files) > 0 {
				if err := tests.run(c.OutOrStdout(), read); err != nil {
					return err
				}
			} else if tests.all {
				return misuse(c, errors.New("--all-routes is about tests: give a file of them with --tests"))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", location)
			return err
		},
	}
	addConfigFlag(c, &location)
	c.Flags().StringArrayVar(&tests.files, "tests", nil, "a `FILE` of requests and what they must lead to; may be given several times")
	c.Flags().BoolVar(&tests.all, "all-routes", false, "fail if there is a route that no test takes")
	return c
}

// addConfigFlag adds -c, which says where a configuration is.
func addConfigFlag(c *cobra.Command, location *string) {
	c.Flags().StringVarP(location, "config", "c", "", "configuration `FILE`, or a key in Consul, consul://host:port/key (its keys: hopscope config reference)")
	c.MarkFlagFilename("config", "yaml", "yml")
}
