package main

import (
	"fmt"
	"os"

	"github.com/hopscope/hopscope/proxy/fault"
)

func main() {
	page, err := fault.Reference(), error(nil)
	if len(os.Args) > 1 && os.Args[1] == "metrics" {
		page, err = metricsPage()
	}
	if err == nil {
		_, err = os.Stdout.Write(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
