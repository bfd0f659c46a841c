package main

import (
	"fmt"
	"io"
	"strings"
)

// introduce prints what runs, and where.
func introduce(out io.Writer, s *stack) {
	admin := s.sidecars[gateway].admin
	line := func(what, where, why string) {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-11s %-36s %s", what, where, why), " "))
	}
	fmt.Fprintf(out, "\nA gateway, %d services behind sidecars and one without, in Consul.\n\n", len(s.sidecars)-1)
	line("console", "http://"+admin+"/console/", "what fails, and who is at fault; hopscope why --admin "+admin)
	if s.jaeger != nil {
		line("Jaeger", s.jaeger.Query+"/", "")
	}
	if s.zipkin != nil {
		line("Zipkin", s.zipkin.URL+"/", "")
	}
	if s.prometheus != nil {
		line("Prometheus", s.prometheus.URL+"/", "")
	}
	line("Consul", s.consul.URL+"/v1/catalog/services", "")
	line("traffic", s.url(), fmt.Sprintf("%g requests a second", s.options.rate))
	line("files", s.options.dir, "configurations of the sidecars")
	fmt.Fprint(out, "\n  make stack-fault           lists what can go wrong\n")
	fmt.Fprint(out, "  make stack-fault refused   lets it go wrong; make stack-fault off mends it\n")
	fmt.Fprint(out, "  Ctrl-C                     ends all of it\n\n")
}
