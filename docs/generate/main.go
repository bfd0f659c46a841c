package main

import (
	"os"

	"github.com/hopscope/hopscope/proxy/fault"
)

func main() {
	if _, err := os.Stdout.Write(fault.Reference()); err != nil {
		os.Exit(1)
	}
}
