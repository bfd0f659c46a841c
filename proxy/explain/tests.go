package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// Question is the request of a test.
func Question(t *config.RouteTest) Request {
	r := Request{Listener: t.Listener, Client: t.Client, Identity: t.Identity, HTTP2: t.HTTP2}
	r.Method, r.URL, r.Headers = t.Question()
	if t.Chance >= 0 {
		r.Chance = &t.Chance
	}
	return r
}

// Differences are in what a request does not lead to what a test expects, a sentence each.
func (e *Explanation) Differences(want *config.RouteExpect) (all []string) {
	differs := func(text string, args ...any) { all = append(all, fmt.Sprintf(text, args...)) }
	taken := "no route"
	if e.Route != nil {
		taken = "route " + e.Route.Label()
	}
	switch {
	case want.NoRoute && e.Route != nil:
		differs("expected no route to take it, and %s does", taken)
	case want.Route != "" && (e.Route == nil || e.Route.Name != want.Route):
		differs("expected route %s to take it, and %s does%s", want.Route, taken, e.missed(want.Route))
	}
	status := 0
	if e.Answer != nil {
		status = e.Answer.Status
	}
	if want.Status != 0 && want.Status != status {
		differs("expected the proxy to answer %d, and %s", want.Status, e.outcome())
	}
	if want.Location != "" {
		if e.Answer == nil {
			differs("expected a redirect to %s, and %s", want.Location, e.outcome())
		} else if to, _ := field(e.Answer.Headers, "location"); to != want.Location {
			differs("expected a redirect to %s, and it leads to %q", want.Location, to)
		}
	}
	return append(all, e.sentDifferences(want)...)
}

// sentDifferences are those of the request as it goes out.
func (e *Explanation) sentDifferences(want *config.RouteExpect) (all []string) {
	if want.Cluster == "" && want.Target == "" && want.Host == "" && len(want.Headers) == 0 && len(want.Absent) == 0 {
		return nil
	}
	at := slices.IndexFunc(e.Targets, func(t Target) bool { return want.Cluster == "" || t.Cluster == want.Cluster && t.Chance > 0 })
	if at < 0 {
		where := "a cluster"
		if want.Cluster != "" {
			where = "cluster " + want.Cluster
		}
		return []string{fmt.Sprintf("expected it to go to %s, and %s", where, e.outcome())}
	}
	sent := e.Targets[at].Sent
	differs := func(what, want, got string) {
		if want != "" && want != got {
			all = append(all, fmt.Sprintf("expected the endpoint to see %s %q, and it sees %q", what, want, got))
		}
	}
	if words := strings.Fields(sent[0]); len(words) == 3 {
		differs("the target", want.Target, words[1])
	}
	host, _ := field(sent, "host")
	differs("the host", want.Host, host)
	for _, name := range sorted(want.Headers) {
		value, _ := field(sent, name)
		differs("in "+name, want.Headers[name], value)
	}
	for _, name := range want.Absent {
		if value, there := field(sent, name); there {
			all = append(all, fmt.Sprintf("expected the endpoint not to see %s, and it sees %q", name, value))
		}
	}
	return all
}

func sorted(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// missed says why an earlier route of a name does not take the request, if it is one.
func (e *Explanation) missed(name string) string {
	for i := range e.Earlier {
		if r := &e.Earlier[i]; r.Name == name {
			return ": " + name + " does not, as " + r.Why()
		}
	}
	return ""
}

// outcome says in a few words what becomes of the request.
func (e *Explanation) outcome() string {
	switch {
	case e.Answer != nil:
		return "the proxy answers " + e.Answer.status()
	case len(e.Targets) > 0:
		var names []string
		for _, t := range e.Targets {
			if t.Chance > 0 {
				names = append(names, t.Cluster)
			}
		}
		return "it goes to " + strings.Join(names, " or ")
	}
	return "it goes nowhere"
}

// field is the value of a field among lines, whatever the case of its name.
func field(lines []string, name string) (string, bool) {
	for _, line := range lines {
		if n, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			return value, true
		}
	}
	return "", false
}
