//go:build !unix

package cmd

import "os"

// terminalWidth is the number of columns of a terminal, 0 if it does not say.
func terminalWidth(*os.File) int { return 0 }

// terminalHeight is the number of rows of a terminal, 0 if it does not say.
func terminalHeight(*os.File) int { return 0 }
