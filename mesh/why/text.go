package why

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The colours.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	dim    = "2"
)

// AppendText appends the report for a person: the most important first, and at most five
// causes. Times are UTC.
func (r *Report) AppendText(dst []byte, o diagnose.TextOptions) []byte {
	p := &painter{dst: dst, color: o.Color, width: max(o.Width, 60)}
	if o.Width == 0 {
		p.width = 100
	}
	p.head(r)
	for i := range r.Causes[:min(len(r.Causes), mostShown)] {
		p.cause(r, i)
	}
	if n := len(r.Causes) - mostShown; n > 0 {
		var rest uint64
		for _, c := range r.Causes[mostShown:] {
			rest += c.Requests
		}
		p.line("", "", fmt.Sprintf("and %d more causes of %s failed requests: --json has them", n, number(rest)))
		p.line("", "", "")
	}
	if len(r.NotAtFault) > 0 {
		p.line("", "", "not at fault, they only relayed failures: "+strings.Join(r.NotAtFault, ", "))
	}
	p.rest(r)
	return append(bytes.TrimRight(p.dst, "\n"), '\n')
}

// How many causes, and services where nothing failed, a person is shown.
const (
	mostShown    = 5
	mostServices = 10
)

type painter struct {
	dst   []byte
	color bool
	width int
}

// line prints a text on as many lines as it takes. The first begins with lead, all others
// with as many spaces.
func (p *painter) line(tint, lead, text string) {
	indent := strings.Repeat(" ", len(lead))
	line, empty := lead, true
	flush := func() {
		line = strings.TrimRight(line, " ")
		if p.color && tint != "" && line != "" {
			line = "\x1b[" + tint + "m" + line + "\x1b[0m"
		}
		p.dst = append(append(p.dst, line...), '\n')
	}
	for word := range strings.FieldsSeq(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > p.width {
			flush()
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	flush()
}

// whole prints a text that is to be copied on one line, however long it is.
func (p *painter) whole(tint, lead, text string) {
	width := p.width
	p.width = len(lead) + len(text)
	p.line(tint, lead, text)
	p.width = width
}

func (p *painter) head(r *Report) {
	span := "the last " + age(r.Until.Sub(r.Since))
	switch {
	case r.Requests == 0:
		p.line(yellow, "", "no requests in "+span)
	case r.Failed == 0:
		p.line(green, "", fmt.Sprintf("nothing failed: %s %s in %s", number(r.Requests), plural("request", r.Requests), span))
	default:
		about := ""
		if !r.Exact {
			about = "about "
		}
		p.line(bold, "", fmt.Sprintf("%s%s of %s requests failed (%s) in %s", about, number(r.Failed), number(r.Requests), percent(float64(r.Failed)/float64(r.Requests)), span))
	}
	if r.Failed == 0 {
		for _, s := range r.Services[:min(len(r.Services), mostServices)] {
			p.line("", "   ", fmt.Sprintf("%s: %s %s", s.Service, number(s.Requests), plural("request", s.Requests)))
		}
	}
	p.line("", "", "")
}

// cause prints who is at fault for some of the requests.
func (p *painter) cause(r *Report, i int) {
	c := &r.Causes[i]
	p.line(red, fmt.Sprintf("%d. ", i+1), fmt.Sprintf("%s of %s failed %s: %s, since %s", percent(c.Share), number(r.Failed), plural("request", r.Failed), c.sentence(), c.since()))
	fault := "at fault: " + c.Culprit.Service
	if part := diagnose.PartInWords(hop.ParsePart(c.Culprit.Part)); part != "" {
		fault += ", " + part
	}
	if c.Inferred {
		fault += " (inferred from the time)"
	}
	if c.Reasons > 0 {
		fault += fmt.Sprintf("; %d other %s of the same kind", c.Reasons, plural("reason", uint64(c.Reasons)))
	}
	p.line("", "   ", fault)
	p.line("", "   ", c.lasting(r.Until))
	for j, s := range c.Suffering {
		lead := "   fails:   "
		if j > 0 {
			lead = "            "
		}
		p.line("", lead, s.sentence())
	}
	if len(c.Relays) > 0 {
		p.line("", "   through: ", strings.Join(c.Relays, ", "))
	}
	for j, what := range c.Common {
		lead := "   common:  "
		if j > 0 {
			lead = "            "
		}
		p.line(yellow, lead, what.Text)
	}
	if same := i > 0 && equal(c.Changed, r.Causes[i-1].Changed); !same {
		p.changes(c)
	}
	p.whole(dim, "   next:    ", c.next())
	p.line("", "", "")
}

func (p *painter) changes(c *Cause) {
	for j, e := range c.Changed {
		lead := "   changed: "
		if j > 0 {
			lead = "            "
		}
		p.line("", lead, e.sentence())
	}
	for j, e := range c.Then {
		lead := "   then:    "
		if j > 0 {
			lead = "            "
		}
		p.line("", lead, e.sentence())
	}
}

// equal reports whether the same changes came before two causes.
func equal(a, b []Change) bool {
	if len(a) != len(b) || len(a) == 0 {
		return false
	}
	for i := range a {
		if a[i].Event != b[i].Event {
			return false
		}
	}
	return true
}

func (c *Cause) since() string {
	if c.FirstIsLate {
		return c.First.Format(clock) + " or before"
	}
	return c.First.Format(clock)
}

// lasting says whether it goes on.
func (c *Cause) lasting(now time.Time) string {
	ago := now.Sub(c.Last)
	if ago < 10*time.Second {
		return "it goes on: " + number(c.Requests) + " so far"
	}
	return fmt.Sprintf("%s, the last %s ago", number(c.Requests), age(ago))
}

func (s *Suffering) sentence() string {
	name := strings.TrimSpace(s.Method + " " + s.Route)
	return strings.TrimSpace(fmt.Sprintf("%s of %s %s at %s", number(s.Failed), number(s.Requests), name, s.Service))
}

func (e *Change) sentence() string {
	when := age(e.Before) + " before"
	if e.Before < 0 {
		when = age(-e.Before) + " after"
	}
	if e.Before.Abs() < time.Second {
		when = "at the same time"
	}
	times := ""
	if e.Count > len(e.Services) {
		times = fmt.Sprintf(" (%d times)", e.Count)
	}
	return fmt.Sprintf("%s, %s, at %s: %s%s", e.Time.Format(clock), when, some(e.Services), e.Text, times)
}

// some names the first of many.
func some(names []string) string {
	const most = 3
	if len(names) <= most+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// rest prints what is not about one cause.
func (p *painter) rest(r *Report) {
	if r.Recovered > 0 {
		text := fmt.Sprintf("%s more %s had a failure inside, and recovered", number(r.Recovered), plural("request", r.Recovered))
		if len(r.Mended) > 0 {
			text += fmt.Sprintf("; %s of them: %s", number(r.Mended[0].Requests), r.Mended[0].sentence())
		}
		p.line("", "", text)
		for i := range r.Mended[:min(len(r.Mended), 1)] {
			p.whole(dim, "   next:    ", r.Mended[i].next())
		}
	}
	for _, l := range r.Lost {
		p.line(yellow, "", "trace context is lost at "+l.Service+": "+l.Reason)
	}
	for _, n := range r.Notes {
		p.line(dim, "", "note: "+n)
	}
}

// next is the command that shows the example.
func (c *Cause) next() string {
	if c.Next == "" {
		return "hopscope trace " + c.TraceID
	}
	return c.Next
}

// age is a duration as people say it.
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		d = d.Round(time.Second)
		if d%time.Minute == 0 {
			return fmt.Sprintf("%dm", d/time.Minute)
		}
	default:
		d = d.Round(time.Minute)
		if d%time.Hour == 0 {
			return fmt.Sprintf("%dh", d/time.Hour)
		}
		return strings.TrimSuffix(d.String(), "0s")
	}
	return d.String()
}
