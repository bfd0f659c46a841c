package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// Result is what a configuration came to.
type Result struct {
	// Config is the configuration. It is valid.
	Config *config.Config
	// YAML is the same as a file.
	YAML []byte
	// Notes are in the order of the lines that they are about.
	Notes []Note
}

// Complete reports whether everything could be said, though some of it may differ.
func (r *Result) Complete() bool {
	return !slices.ContainsFunc(r.Notes, func(n Note) bool { return !n.Differs })
}

// Note is about a line that could not be converted, or not to the same meaning.
type Note struct {
	File string
	Line int
	// Differs is true for what was converted, and is not quite the same. What is false for
	// has no counterpart in the result.
	Differs bool
	// What is the line, or the key, as the file has it.
	What string
	// Why is the reason, and the remedy if there is one.
	Why string
}

// String is one line: envoy.yaml:12: not converted: rate_limits: hopscope has no rate limits.
func (n Note) String() string {
	what := "not converted"
	if n.Differs {
		what = "differs"
	}
	return fmt.Sprintf("%s:%d: %s: %s: %s", n.File, n.Line, what, n.What, n.Why)
}

// draft is a configuration in the making.
type draft struct {
	*config.Config
	file  string
	notes []Note
	// origins has the line of each route, by listener and index.
	origins map[string][]origin
	// http2Clusters are the clusters that will speak HTTP/2, where they are converted after the routes.
	http2Clusters map[string]bool
}

// origin is where a route comes from.
type origin struct {
	line int
	what string
}

func newDraft(file string) *draft {
	return &draft{Config: config.New(), file: file, origins: map[string][]origin{}, http2Clusters: map[string]bool{}}
}

// left notes what has no counterpart.
func (d *draft) left(line int, what, format string, args ...any) {
	d.note(Note{Line: line, What: what, Why: fmt.Sprintf(format, args...)})
}

// differs notes what is not quite the same.
func (d *draft) differs(line int, what, format string, args ...any) {
	d.note(Note{Line: line, What: what, Why: fmt.Sprintf(format, args...), Differs: true})
}

// note adds a note, once.
func (d *draft) note(n Note) {
	n.File = d.file
	const shown = 240
	if n.What = oneLine(n.What); len(n.What) > shown {
		n.What = strings.ToValidUTF8(n.What[:shown], "") + "..."
	}
	if !slices.Contains(d.notes, n) {
		d.notes = append(d.notes, n)
	}
}

// add puts a route at the end of a listener's. One that hopscope can't have answers 501 in
// its place, or is left out if that is because of its match.
func (d *draft) add(l *config.Listener, r config.Route, from origin) {
	if err := d.fits(l, r); err != nil {
		stub := refusal(r.Match, d.file, from.line)
		if d.fits(l, stub) != nil {
			d.left(from.line, from.what, "%v; its requests go on to the routes below", err)
			return
		}
		d.left(from.line, from.what, "%v; its requests are answered with 501", err)
		r = stub
	}
	l.Routes = append(l.Routes, r)
	d.origins[l.Name] = append(d.origins[l.Name], from)
}

// refusal is a route in place of one that can't be said.
func refusal(m config.Match, file string, line int) config.Route {
	r := config.NewRoute("")
	r.Match, r.Answer = m, config.NewAnswer()
	r.Answer.Status = 501
	r.Answer.Body = fmt.Sprintf("this route was not converted: %s line %d\n", file, line)
	return r
}

// opens reports whether hopscope can have a listener, whose routes come later.
func (d *draft) opens(l *config.Listener, from origin) bool {
	c := config.New()
	one := *l
	one.Routes = []config.Route{refusal(config.NewMatch(), d.file, from.line)}
	c.Listeners = append([]config.Listener{one}, d.Listeners...)
	for i := range c.Listeners[1:] {
		c.Listeners[i+1].Routes = one.Routes
	}
	if err := firstMistake(c.Validate()); err != nil {
		d.left(from.line, from.what, "%v; the listener is left out", err)
		return false
	}
	return true
}

// listen adds a listener. One without routes answers 404, as there is nothing else to do.
func (d *draft) listen(l config.Listener) {
	if len(l.Routes) == 0 {
		r := config.NewRoute("")
		r.Answer = config.NewAnswer()
		r.Answer.Status = 404
		l.Routes = []config.Route{r}
		d.origins[l.Name] = append(d.origins[l.Name], origin{})
	}
	d.Listeners = append(d.Listeners, l)
}

// fits reports what keeps hopscope from having a route.
func (d *draft) fits(l *config.Listener, r config.Route) error {
	c := config.New()
	listener := *l
	listener.Address = ":80"
	listener.Routes = []config.Route{r}
	c.Listeners = []config.Listener{listener}
	c.Locality = d.Locality
	for _, name := range r.Targets() {
		cluster, known := d.Clusters[name]
		if !known { // it is converted later
			cluster = config.NewCluster("127.0.0.1:1")
			if d.http2Clusters[name] {
				cluster.Protocol = "http2"
			}
			if len(r.Subset) > 0 {
				cluster.Balance.Subsets = config.NewSubsets(slices.Sorted(maps.Keys(r.Subset))...)
			}
		}
		c.Clusters[name] = cluster
	}
	return firstMistake(c.Validate())
}

// addCluster adds a cluster, and reports whether hopscope can have it.
func (d *draft) addCluster(name string, cluster config.Cluster, from origin) bool {
	c := config.New()
	c.Clusters[name] = cluster
	c.Locality = d.Locality
	l := config.NewListener("in", ":80")
	l.Routes = []config.Route{config.NewRoute(name)}
	c.Listeners = []config.Listener{l}
	if err := firstMistake(c.Validate()); err != nil {
		d.left(from.line, from.what, "%v", err)
		return false
	}
	d.Clusters[name] = cluster
	return true
}

// firstMistake is a mistake with the end of its place.
func firstMistake(err error) error {
	var all config.Errors
	if !errors.As(err, &all) || len(all) == 0 {
		return err
	}
	place := all[0].Path
	for _, outer := range []string{"routes[0].", "listeners[0].", "clusters."} {
		if _, inner, ok := strings.Cut(place, outer); ok {
			place = inner
			break
		}
	}
	return fmt.Errorf("hopscope can't have its %s: %s", place, all[0].Message)
}

// finish completes the configuration: it has a listener, and routes lead to clusters that
// are there.
func (d *draft) finish(comment string) (*Result, error) {
	if len(d.Listeners) == 0 {
		return nil, fmt.Errorf("%s: nothing of it can be converted: no listener for HTTP was found%s", d.file, d.reasons())
	}
	for i := range d.Listeners {
		l := &d.Listeners[i]
		for j := range l.Routes {
			d.withCluster(l, j)
		}
	}
	yaml := append([]byte(comment), d.BriefYAML()...)
	c, err := config.Parse("converted", yaml)
	if err != nil {
		return nil, fmt.Errorf("%s: what it was converted to is not valid: %w", d.file, err)
	}
	slices.SortStableFunc(d.notes, func(a, b Note) int { return a.Line - b.Line })
	return &Result{Config: c, YAML: yaml, Notes: d.notes}, nil
}

// withCluster has a route answer 503 if it leads to no cluster that is there.
func (d *draft) withCluster(l *config.Listener, i int) {
	r, from := &l.Routes[i], d.origins[l.Name][i]
	missing := func(name string) bool {
		_, ok := d.Clusters[name]
		if !ok {
			d.left(from.line, from.what, "the cluster %q could not be converted", name)
		}
		return !ok
	}
	sends := len(r.Targets()) > 0
	if r.Cluster != "" && missing(r.Cluster) {
		r.Cluster = ""
	}
	r.Split = slices.DeleteFunc(r.Split, func(t config.SplitTarget) bool { return missing(t.Cluster) })
	r.AllowClusters = slices.DeleteFunc(r.AllowClusters, missing)
	err := error(nil)
	if len(r.Targets()) > 0 {
		err = d.fits(l, *r)
	}
	if !sends || len(r.Targets()) > 0 && err == nil {
		return
	}
	if err != nil {
		d.left(from.line, from.what, "%v", err)
	}
	d.left(from.line, from.what, "its requests are answered with 503")
	match, name := r.Match, r.Name
	*r = config.NewRoute("")
	r.Name, r.Match, r.Answer = name, match, config.NewAnswer()
	r.Answer.Status = 503
}

// oneLine has no line breaks and no other space than single ones.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (d *draft) reasons() string {
	var b strings.Builder
	for _, n := range d.notes {
		b.WriteString("\n" + n.String())
	}
	return b.String()
}
