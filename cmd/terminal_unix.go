//go:build unix

package cmd

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalWidth is the number of columns of a terminal, 0 if it does not say.
func terminalWidth(f *os.File) int {
	columns, _ := terminalSize(f)
	return columns
}

// terminalHeight is the number of rows of a terminal, 0 if it does not say.
func terminalHeight(f *os.File) int {
	_, rows := terminalSize(f)
	return rows
}

func terminalSize(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}
