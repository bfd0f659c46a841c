package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// haSection is a frontend, a backend, or a listen section, which is both.
type haSection struct {
	kind, name string
	line       int
	haSettings
	acls     map[string][]atom
	badACLs  map[string]error
	binds    []haLine
	rules    []haRule // what http-request and redirect say, in their order
	uses     []haRule // use_backend
	fallback string   // default_backend
	servers  []haLine
	sticks   []haLine
	table    haLine   // stick-table
	headers  []haRule // changes of header fields
}

// haSettings are what a section has, or its defaults.
type haSettings struct {
	mode          string
	timeouts      map[string]time.Duration
	options       map[string]haLine
	balance       haLine
	cookie        haLine
	retries       int // -1: not said
	retryOn       []string
	defaultServer []string
	httpCheck     []haLine
	compression   []haLine
	monitor       haLine
	factor        int
	maxconn       haLine
	queue         haLine // timeout queue
}

// haLine is a line, as words.
type haLine struct {
	n     int
	text  string
	words []string
}

func (l haLine) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

// from are the words from one on.
func (l haLine) from(i int) []string { return l.words[min(i, len(l.words)):] }

// haReader reads a file line by line, and gathers its sections.
type haReader struct {
	*haproxy
	sections []*haSection
	defaults map[string]haSettings // by name
	latest   haSettings            // of the defaults that came last

	kind, name string      // of the section that is being read
	settings   *haSettings // what it sets; nil if its lines are passed over
	current    *haSection  // nil unless it has an address or servers
}

// read reads the whole file.
func (r *haReader) read(text string) error {
	for i, raw := range strings.Split(text, "\n") {
		words, err := splitWords(raw)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", r.file, i+1, err)
		}
		if len(words) == 0 {
			continue
		}
		l := haLine{i + 1, strings.TrimSpace(raw), words}
		switch {
		case beginsSection(words[0]):
			r.begin(l)
		case r.kind == "":
			return fmt.Errorf("%s:%d: expected a section such as frontend, found %q", r.file, l.n, words[0])
		case r.settings == nil:
		case r.kind == "global":
			r.globalLine(l)
		default:
			r.line(r.settings, r.current, l)
		}
	}
	return nil
}

// begin begins a section.
func (r *haReader) begin(l haLine) {
	if r.kind == "defaults" {
		r.latest, r.defaults[r.name] = *r.settings, *r.settings
	}
	r.kind, r.name, r.settings, r.current = l.words[0], l.word(1), nil, nil
	from, own := r.latest, newSettings()
	at := slices.Index(l.words, "from")
	if at > 0 && at+1 < len(l.words) {
		from = r.defaults[l.words[at+1]]
	}
	switch r.kind {
	case "global":
		r.settings = &own
	case "defaults":
		if at > 0 {
			own = from.clone()
		}
		r.settings = &own
	case "frontend", "backend", "listen":
		r.current = &haSection{kind: r.kind, name: r.name, line: l.n, haSettings: from.clone(), acls: map[string][]atom{}, badACLs: map[string]error{}}
		r.settings = &r.current.haSettings
		r.sections = append(r.sections, r.current)
		if rest := l.from(2); len(rest) > 0 && rest[0] != "from" { // the old form: frontend NAME ADDRESS
			r.current.binds = append(r.current.binds, haLine{l.n, l.text, append([]string{"bind"}, rest...)})
		}
	default:
		r.left(l.n, l.text, "%s", haSectionReasons[r.kind])
	}
}

// beginsSection reports whether a line that begins with word is the first of a section.
func beginsSection(word string) bool {
	_, other := haSectionReasons[word]
	return other || slices.Contains([]string{"global", "defaults", "frontend", "backend", "listen"}, word)
}

// haSectionReasons say why hopscope can't have a section.
var haSectionReasons = map[string]string{
	"program": "hopscope runs no other programs", "peers": "hopscope shares no state with others", "resolvers": "names are resolved by the system, or by dns.resolver of a cluster",
	"userlist": "users are in a file, which basic_auth of a route names", "mailers": "hopscope sends no mail: see the alerts for Prometheus", "cache": "hopscope caches nothing",
	"ring": "hopscope has no rings", "http-errors": "see error_pages", "fcgi-app": "hopscope speaks no FastCGI", "log-forward": "hopscope forwards no logs",
}

func newSettings() haSettings {
	return haSettings{timeouts: map[string]time.Duration{}, options: map[string]haLine{}, retries: -1, mode: "tcp"}
}

func (s haSettings) clone() haSettings {
	c := s
	c.timeouts, c.options = map[string]time.Duration{}, map[string]haLine{}
	for k, v := range s.timeouts {
		c.timeouts[k] = v
	}
	for k, v := range s.options {
		c.options[k] = v
	}
	c.defaultServer, c.httpCheck, c.compression = slices.Clone(s.defaultServer), slices.Clone(s.httpCheck), slices.Clone(s.compression)
	return c
}

// splitWords splits a line as HAProxy does: quotes, backslashes, comments.
func splitWords(line string) (words []string, err error) {
	var b strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
			b.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(line):
			i++
			if !strings.ContainsRune(`"'\$# `, rune(line[i])) { // it is no escape
				b.WriteByte('\\')
			}
			b.WriteByte(line[i])
			in = true
		case quote == '"':
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == '#':
			i = len(line)
		case c == ' ' || c == '\t' || c == '\r':
			if in {
				words = append(words, b.String())
			}
			b.Reset()
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if in {
		words = append(words, b.String())
	}
	return words, nil
}
