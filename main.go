// Command hopscope is a mesh proxy that you put in front of your services to see every
// hop at once.
//
// Its commands are in package cmd. What "hopscope run" does is in proxy/process, and
// what it puts together in proxy/snapshot.
package main

import (
	"os"

	"github.com/hopscope/hopscope/cmd"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(cmd.Execute(version)) }
