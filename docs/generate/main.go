package main

import (
	"fmt"
	"os"

	"github.com/hopscope/hopscope/proxy/fault"
)

func main() {
	page, err := fault.Reference(), error(nil)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "metrics":
			page, err = metricsPage()
		case "comments":
			page, err = commentsOf("proxy/config")
		default:
			err = fmt.Errorf("there is no page %q", os.Args[1])
		}
	}
	if err == nil {
		_, err = os.Stdout.Write(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
