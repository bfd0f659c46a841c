package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// mostEarlier is how many earlier routes the text has, unless all are asked for.
const mostEarlier = 20

// Text is the explanation for people. all has it list every earlier route, however many.
func (e *Explanation) Text(all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", e.Request)
	for _, fact := range e.Hop {
		fmt.Fprintf(&b, "  %s: %s\n", fact.Key, fact.Value)
	}
	e.route(&b)
	e.earlier(&b, all)
	e.filters(&b)
	e.answer(&b)
	e.targets(&b)
	e.limits(&b)
	for i, note := range e.Notes {
		if i == 0 {
			b.WriteString("\nNotes\n")
		}
		fmt.Fprintf(&b, "  %s\n", note)
	}
	return b.String()
}

func (e *Explanation) route(b *strings.Builder) {
	switch {
	case e.Early:
		b.WriteString("\nIt is answered before a route is looked for.\n")
	case e.Route == nil:
		fmt.Fprintf(b, "\nNo route of listener %s takes it.\n", e.Listener)
	default:
		fmt.Fprintf(b, "\nRoute %s of listener %s takes %s.\n  it asks for: %s\n", e.Route.Label(), e.Listener, share(e.Chance, "it"), e.Route.Match)
	}
	for _, o := range e.Others {
		fmt.Fprintf(b, "  %s goes to %s\n", percent(o.Chance), orNone(o))
	}
	for i, s := range e.Settings {
		if i == 0 {
			b.WriteString("  it says:\n")
		}
		fmt.Fprintf(b, "    %s: %s\n", s.Key, s.Value)
	}
}

// Label names the route for people: its number and its name.
func (r *Route) Label() string { return label(r.Number, r.Name, r.Catalog) }

func label(number int, name string, catalog bool) string {
	text := strconv.Itoa(number) + " (" + name + ")"
	if catalog {
		text += " of the catalog"
	}
	return text
}

func orNone(r Route) string {
	if r.Number == 0 {
		return "no route"
	}
	return "route " + r.Label()
}

func (e *Explanation) earlier(b *strings.Builder, all bool) {
	if len(e.Earlier) == 0 {
		return
	}
	if e.Route == nil {
		b.WriteString("\nWhat each route misses\n")
	} else {
		b.WriteString("\nWhat each route before it misses\n")
	}
	w := columns(b)
	list := e.Earlier
	if !all && len(list) > mostEarlier {
		list = list[len(list)-mostEarlier:]
	}
	for i := range list {
		r := &list[i]
		fmt.Fprintf(w, "  %s\t%s\n", label(r.Number, r.Name, r.Catalog), r.Why())
	}
	w.Flush()
	if n := len(e.Earlier) - len(list); n > 0 {
		fmt.Fprintf(b, "  and %d before these\n", n)
	}
}

// Why says in words why the route does not take the request.
func (r *Earlier) Why() string {
	wants := strings.TrimSpace(r.Key + " " + r.Wants)
	switch {
	case r.Key == "percent":
		return "it takes " + r.Wants + " % of such requests, and this is none of them"
	case strings.HasPrefix(r.Key, "not "):
		return "it wants " + wants + "; the request has " + strconv.Quote(r.Has)
	case r.Absent:
		return "it wants " + wants + "; the request has none"
	}
	return "it wants " + wants + "; the request has " + strconv.Quote(r.Has)
}

func (e *Explanation) filters(b *strings.Builder) {
	if len(e.Filters) == 0 {
		return
	}
	b.WriteString("\nFilters, in their order\n")
	w := columns(b)
	for _, f := range e.Filters {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", f.Of, f.Name, f.Settings)
	}
	w.Flush()
}

func (e *Explanation) answer(b *strings.Builder) {
	a := e.Answer
	if a == nil {
		return
	}
	fmt.Fprintf(b, "\nThe proxy itself answers %s", a.status())
	if a.Flags != "" {
		fmt.Fprintf(b, " (%s)", a.Flags)
	}
	b.WriteByte('\n')
	if a.Why != "" {
		fmt.Fprintf(b, "  %s\n", a.Why)
	}
	for _, h := range a.Headers {
		fmt.Fprintf(b, "  %s\n", h)
	}
	if a.Body != "" {
		fmt.Fprintf(b, "  content: %q\n", a.Body)
	}
}

// status is the status for people.
func (a *Answer) status() string {
	text := strconv.Itoa(a.Status)
	if a.GRPCStatus != "" {
		text += " with grpc-status " + a.GRPCStatus
	}
	return text
}

func (e *Explanation) targets(b *strings.Builder) {
	for i := range e.Targets {
		t := &e.Targets[i]
		variant := ""
		if t.Variant != "" && t.Variant != t.Cluster {
			variant = ", as variant " + t.Variant + ","
		}
		fmt.Fprintf(b, "\nCluster %s%s gets %s\n", t.Cluster, variant, share(t.Chance, "it"))
		fmt.Fprintf(b, "  endpoints (%s, by %s):", t.From, t.Balance)
		if len(t.Endpoints) == 0 {
			b.WriteString(" none are known here")
		}
		for k, end := range t.Endpoints {
			if k == 10 {
				fmt.Fprintf(b, " and %d more", len(t.Endpoints)-k)
				break
			}
			fmt.Fprintf(b, " %s", end.Address)
			if end.Weight != 1 {
				fmt.Fprintf(b, " (weight %g)", end.Weight)
			}
			if end.Health != "healthy" {
				fmt.Fprintf(b, " (%s)", strings.TrimSpace(end.Health+" "+end.Why))
			}
		}
		b.WriteByte('\n')
		if t.Session != "" {
			fmt.Fprintf(b, "  its session keeps it at %s\n", t.Session)
		}
		e.sent(b, i)
	}
}

// sent writes the head that a target gets, with a mark before what is not as it came. Of the
// second target on it is what differs from the first.
func (e *Explanation) sent(b *strings.Builder, i int) {
	t := &e.Targets[i]
	title := "it is asked (+ was added or changed, - is gone):"
	if i > 0 {
		title = "what it is asked differs from the first cluster in:"
	}
	for _, line := range t.Sent {
		mark := " "
		switch {
		case i > 0 && slices.Contains(e.Targets[0].Sent, line):
			continue
		case slices.Contains(t.Changes, "+ "+line):
			mark = "+"
		}
		if title != "" {
			fmt.Fprintf(b, "  %s\n", title)
			title = ""
		}
		fmt.Fprintf(b, "    %s %s\n", mark, line)
	}
	for _, line := range t.Changes {
		if line[0] == '-' && (i == 0 || !slices.Contains(e.Targets[0].Changes, line)) {
			fmt.Fprintf(b, "    %s\n", line)
		}
	}
}

func (e *Explanation) limits(b *strings.Builder) {
	for i, t := range e.Timeouts {
		if i == 0 {
			b.WriteString("\nTimeouts\n")
		}
		fmt.Fprintf(b, "  %s: %s\n", t.Key, t.Value)
	}
	r := e.Retry
	if r == nil {
		return
	}
	b.WriteString("\nSent again\n")
	what := strings.Join(r.On, ", ")
	if r.Implied {
		what += " (there is no retry policy; this is what can't have reached an endpoint)"
	}
	fmt.Fprintf(b, "  at most %d attempts, on %s\n", r.Attempts, what)
	if r.PerTry > 0 {
		fmt.Fprintf(b, "  each attempt has %s\n", r.PerTry.Round(time.Millisecond))
	}
	if r.Budget {
		b.WriteString("  within a retry budget\n")
	}
}

func columns(b *strings.Builder) *tabwriter.Writer { return tabwriter.NewWriter(b, 0, 0, 2, ' ', 0) }

// share is a chance in words; all is what all of it is called.
func share(chance float64, all string) string {
	if chance >= 1 {
		return all
	}
	return percent(chance) + " of such requests"
}

func percent(chance float64) string { return strconv.FormatFloat(chance*100, 'g', 4, 64) + " %" }
