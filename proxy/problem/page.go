package problem

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// MaxPage is the largest page, in bytes.
const MaxPage = 64 << 10

// maxFacts is how many facts a page may show: each takes room in every response.
const maxFacts = 100

// Page is a page with places where the facts of a failure go. It never changes.
type Page struct{ pieces []piece }

// piece is text, and the fact that follows it; nil for none.
type piece struct {
	text string
	fact *fact
}

// fact is something that a page can show.
type fact struct {
	name   string
	inside bool // only those inside the mesh are told
	value  func(*Problem) string
}

// facts are what a page can show, by their names between per cent signs.
var facts = []fact{
	{"STATUS", false, func(p *Problem) string { return strconv.Itoa(p.Status) }},
	{"TITLE", false, (*Problem).title},
	{"REQUEST_ID", false, func(p *Problem) string { return p.RequestID }},
	{"TRACE_ID", false, func(p *Problem) string { return p.Trace.String() }},
	{"DETAIL", true, func(p *Problem) string { return p.Inside.Reason }},
	{"FAILED_HOP", true, func(p *Problem) string { return p.Inside.Failure.Hop }},
	{"KIND", true, func(p *Problem) string { return p.Inside.Kind }},
	{"FLAGS", true, func(p *Problem) string { return p.Inside.Flags.String() }},
	{"SERVICE", true, func(p *Problem) string { return p.Inside.Service }},
	{"TRACE_LINK", true, func(p *Problem) string { return p.Inside.Link }},
}

// ParsePage reads a page. Names in capitals between per cent signs, such as %REQUEST_ID%,
// are the places of facts; other per cent signs stand for themselves. inside says whether
// clients may be told what is inside the mesh. An error names the place and the remedy.
func ParsePage(content []byte, inside bool) (*Page, error) {
	if len(content) > MaxPage {
		return nil, fmt.Errorf("it has more than %d bytes, which is the most that an error page may have", MaxPage)
	}
	if len(content) == 0 {
		return nil, fmt.Errorf("it is empty; expected an HTML page")
	}
	page, text, from := &Page{}, string(content), 0
	for at := 0; at < len(text); {
		name := nameAt(text[at:])
		if name == "" {
			at++
			continue
		}
		f := factOf(name)
		line := 1 + strings.Count(text[:at], "\n")
		switch {
		case f == nil:
			return nil, fmt.Errorf("line %d: there is no %%%s%%; there are %s", line, name, factNames(inside))
		case f.inside && !inside:
			return nil, fmt.Errorf("line %d: %%%s%% tells what is inside the mesh, and the listener's proxy_status is not \"append\": take it out of the page; there are %s", line, name, factNames(inside))
		}
		if len(page.pieces) == maxFacts {
			return nil, fmt.Errorf("line %d: it shows more than %d facts", line, maxFacts)
		}
		page.pieces = append(page.pieces, piece{text[from:at], f})
		at += len(name) + 2
		from = at
	}
	page.pieces = append(page.pieces, piece{text[from:], nil})
	return page, nil
}

// nameAt returns the name between per cent signs that text begins with, or "".
func nameAt(text string) string {
	if text[0] != '%' {
		return ""
	}
	n := 1
	for n < len(text) && ('A' <= text[n] && text[n] <= 'Z' || text[n] == '_') {
		n++
	}
	if n == 1 || n == len(text) || text[n] != '%' {
		return ""
	}
	return text[1:n]
}

func factOf(name string) *fact {
	for i := range facts {
		if facts[i].name == name {
			return &facts[i]
		}
	}
	return nil
}

// factNames lists the facts that clients may be told.
func factNames(inside bool) string {
	var all []string
	for _, f := range facts {
		if inside || !f.inside {
			all = append(all, "%"+f.name+"%")
		}
	}
	return strings.Join(all, ", ")
}

// Append appends the page with the facts of p, which are escaped for HTML.
func (g *Page) Append(dst []byte, p *Problem) []byte {
	for _, one := range g.pieces {
		dst = append(dst, one.text...)
		if f := one.fact; f != nil && (!f.inside || p.Inside != nil) {
			dst = append(dst, html.EscapeString(strings.ToValidUTF8(cut(f.value(p)), "\uFFFD"))...)
		}
	}
	return dst
}

// Pages are the pages of a listener.
type Pages []PageFor

// PageFor is a page for a range of statuses.
type PageFor struct {
	First, Last int
	Page        *Page
}

// For returns the first page for a status; nil for none.
func (p Pages) For(status int) *Page {
	for i := range p {
		if p[i].First <= status && status <= p[i].Last {
			return p[i].Page
		}
	}
	return nil
}
