package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	endpoints "github.com/hopscope/hopscope/discovery/file"
	"github.com/hopscope/hopscope/proxy/config"
)

func newCheck() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:                   "check -c FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Check a configuration file",
		Long: `Check reads a configuration file and says what is wrong with it: every mistake
with its line and column, what was expected, and the nearest valid key. It reads
the certificates, keys, revocation lists and lists of endpoints that the file
names, too. It exits with 0 if nothing is wrong.`,
		Example: "  hopscope check -c hopscope.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return misuse(c, errors.New("nothing to check: give a file with -c"))
			}
			if err := checkFile(c.Context(), file); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", file)
			return err
		},
	}
	fileFlag(c, &file)
	return c
}

func checkFile(ctx context.Context, file string) (err error) {
	if isKey(file) {
		_, err = readKey(ctx, file)
	} else {
		_, err = config.CheckWithEndpoints(file, endpoints.Check)
	}
	return err
}

// fileFlag adds the flag that names a configuration file.
func fileFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "config", "c", "", "configuration `FILE`, or a key in Consul, consul://host:port/key; hopscope config reference has its keys")
	c.MarkFlagFilename("config", "yaml", "yml")
}

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Print the configuration's schema or its reference",
		Example: "  hopscope config reference | less",
		Args:    noArgs,
		RunE:    help,
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "schema",
			Short:   "Print the JSON Schema of the configuration, for editors",
			Example: "  hopscope config schema > hopscope.schema.json",
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Schema())
				return err
			},
		},
		&cobra.Command{
			Use:     "reference",
			Short:   "Print the reference of every key, in Markdown",
			Example: "  hopscope config reference > config.md",
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Reference())
				return err
			},
		},
	)
	return c
}
