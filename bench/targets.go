package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// target bounds CPU a request of one variant, as a ratio to another's. A handshake for
// each request is shown and has no bound.
type target struct {
	of, to string
	limit  float64
}

func targets() []target {
	return []target{
		{hopscopeFull, haproxyPlain, 1.00},
		{hopscopeFull, haproxyDressed, 0.75},
		{hopscopeTraces, haproxyPlain, 1.25},
		{hopscopeOff, haproxyPlain, 0.92},
		{hopscopeH2, haproxyH2, 1.15},
		{hopscopeH2H2, haproxyH2H2, 1.15},
		{hopscopeTLS, haproxyTLS, 1.10},
		{hopscopeLarge, haproxyLarge, 0.60},
		{hopscopeChurn, haproxyChurn, 1.10},
		{hopscopeMany, hopscopeOne, 1.10},
		{hopscopeRoutes, hopscopePlainRoute, 1.10},
	}
}

// idleLimit bounds the resident memory of an idle connection, in bytes.
const idleLimit = 8 << 10

// verdict is a target beside what was measured. A ratio target has one verdict
// for each cell.
type verdict struct {
	Target   string  `json:"target"`
	Load     string  `json:"load"`
	Limit    float64 `json:"limit"`
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
}

// judge compares what was measured with the targets. What was not measured has
// no verdict.
func judge(samples []sample, cells []cell, idle *idle) []verdict {
	var verdicts []verdict
	for _, t := range targets() {
		for _, c := range cells {
			measured, ok := ratio(samples, c, t.of, t.to)
			if !ok || c.Fresh && groupOf(c.Group).tls {
				continue
			}
			verdicts = append(verdicts, verdict{
				Target: fmt.Sprintf("CPU a request, %s / %s", t.of, t.to),
				Load:   c.String(), Limit: t.limit, Measured: measured, Met: measured <= t.limit,
			})
		}
	}
	if idle != nil {
		verdicts = append(verdicts, verdict{
			Target: "resident bytes an idle connection, " + idle.Variant,
			Load:   fmt.Sprintf("%d connections", idle.Connections),
			Limit:  idleLimit, Measured: idle.PerConnection, Met: idle.PerConnection <= idleLimit,
		})
	}
	return verdicts
}

func (v verdict) word() string {
	if v.Met {
		return "met"
	}
	return "missed"
}

// figure prints n as a ratio or, when it is large, as a count of bytes.
func figure(n float64) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3f", n)
}

// writeTargets prints verdicts as a plain table.
func writeTargets(w io.Writer, verdicts []verdict) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TARGET\tLOAD\tAT MOST\tMEASURED\t")
	for _, v := range verdicts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", v.Target, v.Load, figure(v.Limit), figure(v.Measured), v.word())
	}
	return table.Flush()
}

// shortfalls counts missed targets and undelivered views.
func shortfalls(r result) int {
	n := 0
	for _, v := range r.Targets {
		if !v.Met {
			n++
		}
	}
	for _, d := range r.Views {
		if d.Undelivered {
			n++
		}
	}
	return n
}
