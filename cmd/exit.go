package cmd

import (
	"errors"

	"github.com/spf13/cobra"
)

// The exit codes of commands that scripts ask.
const (
	exitError    = 1 // it could not be found out
	exitMisuse   = 2
	exitFailed   = 3 // what was asked for has failed
	exitNotFound = 4
)

// exit ends a command with an exit code. Its err is printed, unless it is nil.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// misuseCode makes the mistakes in a command's line end with their exit code.
func misuseCode(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return exit{exitMisuse, misuse(c, err)} })
	args := c.Args
	c.Args = func(c *cobra.Command, given []string) error {
		err := args(c, given)
		if _, ok := errors.AsType[exit](err); err != nil && !ok {
			return exit{exitMisuse, misuse(c, err)}
		}
		return err
	}
}
