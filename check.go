package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
)

func newCheck() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration file",
		Long: `Check reads a configuration file and says what is wrong with it: every mistake
with its line and column, what was expected, and the nearest valid key. It exits
with 0 if nothing is.`,
		Example: "  hopscope check -c hopscope.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := config.Load(file); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", file)
			return nil
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "the configuration file")
	c.MarkFlagRequired("config")
	return c
}

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration's schema or its reference",
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "schema",
			Short:   "Print the JSON Schema of the configuration, for editors",
			Example: "  hopscope config schema > hopscope.schema.json",
			Args:    cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Schema())
				return err
			},
		},
		&cobra.Command{
			Use:     "reference",
			Short:   "Print the reference of every key, in Markdown",
			Example: "  hopscope config reference > config.md",
			Args:    cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Reference())
				return err
			},
		},
	)
	return c
}
