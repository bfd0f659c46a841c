package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TextOptions say how a trace is drawn.
type TextOptions struct {
	// Width is the number of columns; 0 is 100, and less than 60 is 60.
	Width int
	// Color adds the escape codes of a terminal.
	Color bool
}

// Text draws the trace as a tree with its waterfall, 100 columns wide and
// without colour.
func (t *Trace) Text() string { return string(t.AppendText(nil, TextOptions{})) }

// AppendText appends the drawing of the trace. It removes control characters from texts
// of requests.
func (t *Trace) AppendText(dst []byte, o TextOptions) []byte {
	if o.Width == 0 {
		o.Width = 100
	}
	p := &painter{trace: t, dst: dst, width: max(o.Width, 60), color: o.Color}
	p.head()
	for i, root := range t.Roots {
		if i > 0 {
			p.rows = append(p.rows, row{})
		}
		p.collect(root, "", "")
	}
	p.measure()
	for i := range p.rows {
		p.draw(&p.rows[i])
	}
	p.foot()
	return p.dst
}

// foot describes the encryption of the connections, and explains inferred places and
// cuts.
func (p *painter) foot() {
	p.encryption()
	inferred := slices.ContainsFunc(p.rows, func(r row) bool { return r.node != nil && r.node.Inferred && !r.node.Joined })
	joined := slices.ContainsFunc(p.rows, func(r row) bool { return r.node != nil && r.node.Joined })
	if inferred || joined || len(p.trace.Breaks) > 0 {
		p.dst = append(p.dst, '\n')
	}
	if inferred {
		p.print(dim, "┄ put there by service and time, for the hop names a parent that no hop has\n")
	}
	if joined {
		p.print(dim, "┄ put there by service and time, for the call began a trace of its own\n")
	}
	for _, b := range p.trace.Breaks {
		p.print(yellow, "cut at "+clean(b.String())+"\n")
	}
}

// encryption describes TLS between the hops, one line for each kind of connection. A
// client's connection belongs to the hop, an endpoint's to the attempt.
func (p *painter) encryption() {
	var lines []string
	for _, root := range p.trace.Roots {
		root.walk(func(n *Node) {
			t, place := n.Hop.TLS, "to "+n.service()
			if n.Attempt != nil {
				t, place = n.Attempt.TLS, n.service()+" → "+n.Attempt.Endpoint
			}
			if t == nil || t.Version == "" {
				return
			}
			line := "TLS " + t.Version + " " + place
			switch {
			case t.Peer != "" && n.Attempt == nil:
				line += ", from " + t.Peer
			case t.Peer != "":
				line += ", which is " + t.Peer
			}
			if n.Attempt != nil && !n.Attempt.Reused { // else the handshake was not part of this trace
				line += ", handshake " + duration(t.Handshake)
			}
			if line = clean(line); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		})
	}
	for i, line := range lines {
		if i == 0 {
			line = "\n" + line
		}
		p.print(dim, line+"\n")
	}
}

// The colours.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

// The maximum number of columns of a row's texts.
const (
	maxNameColumns    = 36
	maxRequestColumns = 28
	maxBarColumns     = 40
	minBarColumns     = 12
	maxNoteColumns    = 300
)

type painter struct {
	trace *Trace
	dst   []byte
	width int
	color bool

	rows                        []row
	name, request, status, bars int // columns
	until                       time.Duration
}

// row is a line of the tree; one without a node is empty.
type row struct {
	node          *Node
	name, request string
	below         string // what joins the lines below it to the tree
	note, tint    string
}

// head says the outcome before the details.
func (p *painter) head() {
	t := p.trace
	p.print(bold, "trace "+t.ID.String())
	if len(t.Roots) == 0 {
		p.print("", "  no hops\n")
		return
	}
	root := t.Roots[0]
	p.print("", fmt.Sprintf("  %s in %s, %d %s\n", status(root), duration(root.Duration), t.Hops, plural("hop", t.Hops)))
	p.verdict("culprit: ", t.Culprit, red)
	if t.Inner != nil {
		outcome := " (did not fail the request)"
		if root.Hop.Status >= 400 {
			outcome = ""
		}
		p.verdict("inside"+outcome+": ", t.Inner, yellow)
	}
	if t.Slowest != nil && (t.Culprit == nil || root.Hop.Slow()) {
		slowest := *t.Slowest
		if t.Culprit != nil && t.Culprit.Node == slowest.Node {
			slowest.Evidence = nil // it has been said
		}
		p.verdict("slowest: ", &slowest, "")
	}
	p.dst = append(p.dst, '\n')
}

// verdict says who is at fault, and below it what speaks for that.
func (p *painter) verdict(title string, c *Culprit, tint string) {
	if c == nil {
		return
	}
	if c.Unproven {
		title, tint = strings.Replace(title, "culprit", "unproven", 1), yellow
	}
	p.wrapped(tint, title+c.String(), "")
	if c.Kind != slowKind && (c.Caller != "" || c.Part != hop.PartApplication) && c.Part != hop.PartUnknown {
		p.wrapped("", "at fault: "+c.Service+", "+partWords[c.Part], "  ")
	}
	for _, line := range c.Evidence {
		p.wrapped("", line, "  ")
	}
}

// PartInWords is a part of a service in a sentence, such as "its application"; "" if it is
// not known.
func PartInWords(p hop.Part) string { return partWords[p] }

// partWords are the parts of a service in a sentence.
var partWords = map[hop.Part]string{
	hop.PartApplication:   "its application",
	hop.PartProxy:         "its proxy",
	hop.PartNetwork:       "the network on the way to it",
	hop.PartConfiguration: "its configuration",
	hop.PartCertificate:   "its certificate",
	hop.PartCapacity:      "a limit of its own",
	hop.PartResolution:    "how its addresses are found",
}

// wrapped prints a sentence on as many lines as it takes, the first after the margin.
func (p *painter) wrapped(tint, text, margin string) {
	line := margin
	empty := true
	for word := range strings.FieldsSeq(clean(text)) {
		if !empty && columns(line)+1+columns(word) > p.width {
			p.print(tint, line+"\n")
			line, empty = margin+"  ", true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.print(tint, line+"\n")
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// collect makes the rows of the hop n and of all below it. A single attempt has no row of
// its own.
func (p *painter) collect(n *Node, lead, branch string) {
	h := n.Hop
	r := row{node: n, name: lead + branch + clean(n.service()), request: clean(request(h))}
	switch h.Labels.Direction {
	case hop.Outbound:
		r.name += " → " + clean(h.String(h.Host))
	case hop.Mirror:
		r.name += " → " + clean(h.Labels.Cluster) + " (mirror)"
	}
	below := lead + indent(branch)
	var children []*Node
	tries := 0
	for _, c := range n.Children {
		if c.Attempt != nil {
			tries++
		}
	}
	for _, c := range n.Children {
		if tries == 1 && c.Attempt != nil {
			children = append(children, c.Children...)
			p.annotate(&r, c)
			continue
		}
		children = append(children, c)
	}
	p.annotate(&r, n)
	r.below = stem(below, children)
	p.rows = append(p.rows, r)
	for i, c := range children {
		branch := branchOf(c, i == len(children)-1)
		if c.Attempt == nil {
			p.collect(c, below, branch)
			continue
		}
		try := row{node: c, name: below + branch + "try " + clean(c.Attempt.Endpoint)}
		try.below = stem(below+indent(branch), c.Children)
		p.annotate(&try, c)
		p.rows = append(p.rows, try)
		for j, g := range c.Children {
			p.collect(g, below+indent(branch), branchOf(g, j == len(c.Children)-1))
		}
	}
}

// branchOf returns the line that joins a row to its parent, dotted if the parent was
// inferred.
func branchOf(n *Node, last bool) string {
	switch {
	case n.Inferred && last:
		return "└┄"
	case n.Inferred:
		return "├┄"
	case last:
		return "└ "
	}
	return "├ "
}

// indent continues a branch on the rows below.
func indent(branch string) string {
	switch {
	case branch == "":
		return ""
	case strings.HasPrefix(branch, "├"):
		return "│ "
	}
	return "  "
}

// stem returns the start of a row's second line: the branches that pass it, and its own
// on the way to its children.
func stem(lead string, children []*Node) string {
	if len(children) == 0 {
		return lead
	}
	return lead + "│ "
}

func request(h *hop.Hop) string {
	method := h.Method
	if h.MethodText.Len() > 0 {
		method = h.String(h.MethodText)
	}
	return strings.TrimSpace(method + " " + h.String(h.Path))
}

// annotate notes in the row what n has to do with the failure, or with the slowness if
// nothing failed.
func (p *painter) annotate(r *row, n *Node) {
	culprit, slowest := p.trace.Culprit, p.trace.Slowest
	switch {
	case r.note != "":
	case culprit != nil && culprit.Node == n:
		r.note, r.tint = "✗ "+note(culprit), red
	case n.failed() && n.cause().node == n:
		r.note, r.tint = "! "+note(p.trace.charge(n)), yellow
	case culprit == nil && slowest != nil && slowest.Node == n && p.trace.Roots[0].Hop.Slow():
		r.note, r.tint = "◆ "+clean(slowest.Reason), yellow
	}
}

// note returns a failure in words for its row. It cuts the reason, which may come from an
// endpoint and be of any length.
func note(c *Culprit) string {
	text := clean(strings.TrimSpace(c.Flags.String() + " " + c.Reason))
	return pad(text, min(columns(text), maxNoteColumns))
}

// measure finds the columns: names and requests as wide as they need to be,
// notes if they fit, and the bars the rest.
func (p *painter) measure() {
	longest := 0
	p.status = len("503")
	for _, r := range p.rows {
		p.name = max(p.name, min(columns(r.name), maxNameColumns))
		p.request = max(p.request, min(columns(r.request), maxRequestColumns))
		longest = max(longest, columns(r.note))
		if r.node != nil {
			p.until = max(p.until, r.node.end())
			p.status = max(p.status, len(status(r.node)))
		}
	}
	rest := p.width - p.name - p.request - p.status - len("      12.3 ms    ")
	p.bars = min(max(rest-longest-2, minBarColumns), maxBarColumns)
	p.bars = min(p.bars, max(rest, 1))
}

func (p *painter) draw(r *row) {
	n := r.node
	if n == nil {
		p.dst = append(p.dst, '\n')
		return
	}
	first := len(p.dst)
	p.print("", pad(r.name, p.name)+"  "+pad(r.request, p.request)+"  ")
	p.print(statusTint(n), fmt.Sprintf("%*s", p.status, status(n)))
	p.print("", fmt.Sprintf("  %8s  ", duration(n.Duration)))
	bar, end := p.bar(n)
	tint := r.tint
	if tint == "" {
		tint = green
	}
	p.print(tint, bar)
	if r.note != "" {
		used := p.name + 2 + p.request + 2 + p.status + 2 + 8 + 2 + end
		if used+2+columns(r.note) > p.width {
			p.dst = append(p.dst, '\n')
			p.print("", pad(r.below, p.name)+"  ")
		} else {
			p.print("", "  ")
		}
		p.print(r.tint, r.note)
	}
	p.dst = append(trimRight(p.dst, first), '\n')
}

// bar returns the node's bar in the waterfall, and the column where it ends. An attempt's
// bar is lighter than a hop's.
func (p *painter) bar(n *Node) (bar string, end int) {
	cell := func(d time.Duration) int {
		return int(float64(p.bars) * (float64(max(d, 0)) / float64(max(p.until, 1))))
	}
	from := max(min(cell(n.Start), p.bars-1), 0)
	to := max(min(cell(n.end()), p.bars), from+1)
	block := "█"
	if n.Attempt != nil {
		block = "▒"
	}
	return strings.Repeat(" ", from) + strings.Repeat(block, to-from), to
}

// status returns in a word how the node ended: the name of the gRPC status if there is
// one.
func status(n *Node) string {
	s, call := n.Hop.Status, n.Hop.GRPCStatus
	if n.Attempt != nil {
		s, call = n.Attempt.Status, n.Attempt.GRPCStatus
	}
	switch {
	case call != 0:
		return call.String()
	case s == 0:
		return "-"
	}
	return strconv.Itoa(s)
}

func statusTint(n *Node) string {
	if n.failed() {
		return red
	}
	return ""
}

// print appends s in a colour, if colours are wanted.
func (p *painter) print(tint, s string) {
	if !p.color || tint == "" {
		p.dst = append(p.dst, s...)
		return
	}
	p.dst = append(p.dst, "\x1b["+tint+"m"+s+"\x1b[0m"...)
}

func trimRight(b []byte, from int) []byte {
	for len(b) > from && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// columns counts the characters of s.
func columns(s string) int { return utf8.RuneCountInString(s) }

// pad makes s exactly n columns wide.
func pad(s string, n int) string {
	if have := columns(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	return string(slices.Concat([]rune(s)[:n-1], []rune{'…'}))
}

// clean replaces characters that a terminal might interpret, or not show.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
