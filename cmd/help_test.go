package cmd

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandIsDocumented walks the commands that are ours.
func TestEveryCommandIsDocumented(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no description", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.LocalFlags().FlagUsages()) {
			flag, usage, _ := strings.Cut(strings.TrimSpace(line), "   ")
			if !strings.Contains(flag, "--") || strings.TrimSpace(usage) == "" {
				t.Errorf("%s %s is not documented", c.CommandPath(), flag)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("dev"))
}

// TestExamplesAreRight puts every example that a help text has through the
// parser of the command that it is of.
func TestExamplesAreRight(t *testing.T) {
	t.Parallel()
	n := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Long + "\n" + c.Example + "\n") {
			if !strings.HasPrefix(line, "  hopscope ") {
				continue
			}
			n++
			line = line[:strings.IndexAny(line, "|>\n")] // what the shell does with it is its own
			root := newRoot("dev")
			command, rest, err := root.Find(strings.Fields(line)[1:])
			if err != nil || command == root {
				t.Errorf("%q is of no command: %v", line, err)
			} else if err := command.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			} else if err := command.ValidateArgs(command.Flags().Args()); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("dev"))
	if n < 19 {
		t.Errorf("only %d examples were found", n)
	}
}
