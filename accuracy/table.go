package main

import (
	"fmt"
	"io"
	"strings"
)

// printTable prints the rows: for each view n, right name, right kind and part, wrong
// name, none.
func printTable(w io.Writer, rows []*row) {
	fmt.Fprintf(w, "%-27s %6s %6s", "fault", "n", "failed")
	for _, v := range views {
		fmt.Fprintf(w, " | %-24s", v.name)
	}
	fmt.Fprintf(w, "\n%41s%s\n", "", strings.Repeat(" |    n name whole wrong none", len(views)))
	for _, r := range rows {
		name := r.Fault
		if r.Missing != "" {
			name += " *"
		}
		fmt.Fprintf(w, "%-27s %6d %6d", name, r.Requests, r.Failed)
		for _, v := range views {
			s := r.Scores[v.name]
			fmt.Fprintf(w, " | %4d %4d %5d %5d %4d", s.N, s.Name, s.Whole, s.Wrong, s.None)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "\n* something of the mesh is missing, so that not every verdict can be right")
}

// printMisses prints what was said and what is right, where they differ, and the trace of
// an example if that is wanted.
func printMisses(w io.Writer, rows []*row, traces bool) {
	for _, r := range rows {
		for _, m := range r.Misses {
			fmt.Fprintf(w, "%s, %s, %d times: %s; right is %s\n    %s\n", r.Fault, m.View, m.Count, m.Said, m.Right, m.Example)
			if traces {
				fmt.Fprintln(w, m.Trace)
			}
		}
	}
}
