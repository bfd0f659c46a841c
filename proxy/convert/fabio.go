package convert

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

// fabio is a table of routes of Fabio's that is being converted.
type fabio struct {
	*draft
	targets []*fabioTarget
	tags    []origin                     // of Consul's catalog
	known   map[string]*config.BasicAuth // by the names of proxy.auth
}

// fabioTarget is what route add says.
type fabioTarget struct {
	line       int
	text       string
	service    string
	host, path string
	url        *url.URL
	weight     float64
	tags       []string
	options    map[string]string
}

func (t *fabioTarget) origin() origin { return origin{t.line, t.text} }

// Fabio converts route commands: route add, del and weight, a line each. Tags that begin
// with urlprefix- stay in Consul's catalog, which the listener then serves. A line proxy.auth
// of fabio.properties says whom both may ask for passwords. name stands for the file in notes
// and errors.
func Fabio(name string, data []byte) (*Result, error) {
	f := &fabio{draft: newDraft(name), known: map[string]*config.BasicAuth{}}
	for i, line := range strings.Split(string(data), "\n") {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") {
			continue
		}
		if err := f.command(i+1, text); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	l := config.NewListener("http", "0.0.0.0:9999") // as Fabio has it
	l.Path = config.Path{EscapedSlashes: "keep"}
	if len(f.tags) > 0 {
		l.Catalog = "consul"
	}
	f.inCatalog()
	f.routes(&l)
	if len(l.Routes) == 0 && len(f.tags) == 0 {
		return nil, fmt.Errorf("%s: no route was found: expected lines such as \"route add web /path http://10.0.0.1:8080/\"%s", name, f.reasons())
	}
	f.Listeners = append(f.Listeners, l)
	return f.finish("# Converted from Fabio's " + oneLine(name) + ". The address is Fabio's default.\n")
}

// command reads a line.
func (f *fabio) command(line int, text string) error {
	words, quoted, err := fabioWords(text)
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(words[0], "urlprefix-"):
		f.tags = append(f.tags, origin{line, text})
		return nil
	case words[0] == "proxy.auth" || strings.HasPrefix(words[0], "proxy.auth="):
		return f.auth(line, text)
	}
	if len(words) < 3 || words[0] != "route" {
		return errorf("expected route add, route del, route weight, proxy.auth or a tag that begins with urlprefix-")
	}
	switch words[1] {
	case "add":
		return f.add(line, text, words[2:], quoted)
	case "del":
		return f.remove(words[2:])
	case "weight":
		return f.weigh(line, text, words[2:])
	}
	return errorf("there is no command route %s", words[1])
}

// fabioWords splits a line; what is in quotes is one word.
func fabioWords(text string) (words []string, quoted map[string]string, err error) {
	quoted = map[string]string{}
	for i, part := range strings.Split(text, `"`) {
		switch {
		case i%2 == 0:
			words = append(words, strings.Fields(part)...)
		case len(words) == 0:
			return nil, nil, errorf("a line begins with a command")
		default:
			quoted[words[len(words)-1]] = part
			words = append(words, part)
		}
	}
	if strings.Count(text, `"`)%2 != 0 {
		return nil, nil, errorf("the quote is not closed")
	}
	return words, quoted, nil
}

// after is the word behind another one.
func after(words []string, word string) string {
	if i := slices.Index(words, word); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

func (f *fabio) add(line int, text string, words []string, quoted map[string]string) error {
	if len(words) < 3 {
		return errorf("expected route add SERVICE HOST/PATH URL")
	}
	t := &fabioTarget{line: line, text: text, service: words[0], options: map[string]string{}}
	t.host, t.path = fabioSource(words[1])
	rest := words[3:]
	for i := 0; i < len(rest); i += 2 {
		if rest[i] != "weight" && rest[i] != "tags" && rest[i] != "opts" || i+1 >= len(rest) {
			return errorf("%q is no part of route add", rest[i])
		}
	}
	if w := after(rest, "weight"); w != "" {
		var err error
		if t.weight, err = strconv.ParseFloat(w, 64); err != nil || math.IsNaN(t.weight) || math.IsInf(t.weight, 0) {
			return errorf("%q is no weight", w)
		}
	}
	t.tags = words2(quoted["tags"])
	for _, o := range strings.Fields(quoted["opts"]) {
		k, v, _ := strings.Cut(o, "=")
		t.options[k] = v
	}
	u, err := url.Parse(words[2])
	if t.url = u; err != nil || u.Host == "" {
		if !strings.HasPrefix(t.options["proto"], "tcp") && t.options["redirect"] == "" {
			return errorf("%q is no URL", words[2])
		}
		t.url = &url.URL{}
	}
	f.targets = append(f.targets, t)
	return nil
}

func words2(text string) []string {
	if text == "" {
		return nil
	}
	return words(text)
}

// fabioSource splits HOST/PATH.
func fabioSource(src string) (host, path string) {
	host, path, ok := strings.Cut(src, "/")
	if !ok && strings.HasPrefix(src, ":") {
		return src, ""
	}
	return strings.ToLower(host), "/" + path
}

// remove drops targets: SERVICE [HOST/PATH [URL]], SERVICE tags "...", or tags "...".
func (f *fabio) remove(words []string) error {
	service, src, dst := words[0], "", ""
	var tags []string
	switch {
	case words[0] == "tags" && len(words) > 1:
		service, tags = "", words2(words[1])
	case len(words) > 2 && words[1] == "tags":
		tags = words2(words[2])
	default:
		if len(words) > 1 {
			src = words[1]
		}
		if len(words) > 2 {
			dst = words[2]
		}
	}
	host, path := fabioSource(src)
	f.targets = slices.DeleteFunc(f.targets, func(t *fabioTarget) bool {
		return (service == "" || t.service == service) && (src == "" || t.host == host && t.path == path) && (dst == "" || t.url.String() == dst) && t.hasTags(tags)
	})
	return nil
}

func (t *fabioTarget) hasTags(tags []string) bool {
	return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(t.tags, tag) })
}

// weigh gives targets a share together: [SERVICE] HOST/PATH weight W [tags "..."].
func (f *fabio) weigh(line int, text string, words []string) error {
	at := slices.Index(words, "weight")
	if at < 1 || at > 2 || at+1 >= len(words) {
		return errorf("expected route weight SERVICE HOST/PATH weight W")
	}
	w, err := strconv.ParseFloat(words[at+1], 64)
	if err != nil || math.IsNaN(w) || math.IsInf(w, 0) {
		return errorf("%q is no weight", words[at+1])
	}
	service := ""
	if at == 2 {
		service = words[0]
	}
	host, path := fabioSource(words[at-1])
	tags := words2(after(words, "tags"))
	var found []*fabioTarget
	for _, t := range f.targets {
		if (service == "" || t.service == service) && t.host == host && t.path == path && t.hasTags(tags) {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		f.left(line, text, "there is no such route before it")
	}
	for _, t := range found {
		t.weight = w / float64(len(found))
	}
	return nil
}

// fabioRank is the order in which Fabio tries hosts: exact ones, then patterns, then those
// for every host.
func fabioRank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.ContainsAny(host, "*?[{"):
		return 1
	}
	return 0
}

// routes makes a route of the targets of each host and path.
func (f *fabio) routes(l *config.Listener) {
	groups := map[[2]string][]*fabioTarget{}
	var order [][2]string
	for _, t := range f.targets {
		if strings.HasPrefix(t.options["proto"], "tcp") || strings.HasPrefix(t.host, ":") || t.options["proto"] == "https+tcp+sni" {
			f.left(t.line, t.text, "hopscope proxies HTTP only")
			continue
		}
		at := [2]string{t.host, t.path}
		if groups[at] == nil {
			order = append(order, at)
		}
		groups[at] = append(groups[at], t)
	}
	slices.SortStableFunc(order, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(fabioRank(a[0]), fabioRank(b[0])), cmp.Compare(len(b[0]), len(a[0])), cmp.Compare(a[0], b[0]), cmp.Compare(len(b[1]), len(a[1])), cmp.Compare(a[1], b[1]))
	})
	for _, at := range order {
		f.route(l, at, groups[at])
	}
}

// route makes the routes of a host and path.
func (f *fabio) route(l *config.Listener, at [2]string, targets []*fabioTarget) {
	first := targets[max(slices.IndexFunc(targets, (*fabioTarget).closes), 0)]
	for _, t := range targets {
		if t.treatment() != first.treatment() {
			f.differs(t.line, t.text, "what is done with requests is what one target of the route says, in line %d", first.line)
		}
	}
	r := config.NewRoute("")
	r.Match.PathPrefix = at[1]
	switch host := at[0]; {
	case host == "":
	case fabioRank(host) == 0 || strings.HasPrefix(host, "*.") && !strings.ContainsAny(host[1:], "*?[{"):
		if r.Match.Hosts = []string{dropPort(host)}; dropPort(host) != host {
			f.differs(first.line, first.text, "hosts are compared without their port")
		}
	case strings.ContainsAny(host, "?[{"):
		f.left(first.line, first.text, "of a pattern for hosts only * can be said; its requests go on to the routes below")
		return
	default:
		r.Match.Headers["host"] = *regexValue("(?i)" + strings.ReplaceAll(quoteRegex(host), `\*`, `[^.]*`) + "(:[0-9]+)?")
	}
	for _, t := range targets {
		for _, option := range slices.Sorted(maps.Keys(t.options)) {
			if !slices.Contains([]string{"strip", "prepend", "proto", "tlsskipverify", "host", "allow", "deny", "auth", "redirect", "grpcservername"}, option) {
				f.left(t.line, t.text, "%s: hopscope has no such option", option)
			}
		}
	}
	if !f.access(l, &r, first) || !f.protected(l, &r, first) {
		return
	}
	if to := first.options["redirect"]; to != "" {
		f.redirect(l, r, first, to)
		return
	}
	r.Cluster = at[0] + at[1]
	f.rewrite(&r, first)
	r.Timeout = 0 // Fabio has none
	if f.cluster(r.Cluster, targets) {
		f.draft.add(l, r, first.origin())
	}
}

// closes reports whether a target keeps some clients out.
func (t *fabioTarget) closes() bool {
	return t.options["allow"]+t.options["deny"]+t.options["auth"] != ""
}

// treatment is what is done with requests for a target.
func (t *fabioTarget) treatment() [7]string {
	o := t.options
	return [7]string{o["strip"], o["prepend"], o["host"], o["allow"], o["deny"], o["auth"], o["redirect"]}
}

// access refuses clients, before the route; false if it can't be said.
func (f *fabio) access(l *config.Listener, r *config.Route, t *fabioTarget) bool {
	for _, kind := range []string{"allow", "deny"} {
		if t.options[kind] == "" {
			continue
		}
		var networks []netip.Prefix
		for _, rule := range words(t.options[kind]) {
			p, err := network(strings.TrimPrefix(strings.ToLower(rule), "ip:"))
			if err != nil || !strings.HasPrefix(strings.ToLower(rule), "ip:") {
				f.left(t.line, t.text, "%s: %q is no rule such as ip:10.0.0.0/8; its requests are answered with 501", kind, rule)
				f.draft.add(l, refusal(r.Match, f.file, t.line), t.origin())
				return false
			}
			networks = append(networks, p)
		}
		f.differs(t.line, t.text, "%s: the client is who opened the connection, or whom forwarded.trusted_proxies says; Fabio looks at every address in X-Forwarded-For", kind)
		closed := config.NewRoute("")
		closed.Match = r.Match
		if kind == "allow" {
			closed.Match.Not = &config.Conditions{Clients: networks}
		} else {
			closed.Match.Clients = networks
		}
		closed.Answer = config.NewAnswer()
		closed.Answer.Status = 403
		f.draft.add(l, closed, t.origin())
	}
	return true
}

// redirect converts redirect=CODE,URL, in which $path is what was asked for.
func (f *fabio) redirect(l *config.Listener, r config.Route, t *fabioTarget, to string) {
	if !strings.Contains(to, ",") { // only the status: the target has the URL
		to += "," + t.url.String()
	}
	parsed, err := catalog.ParseRedirect(to, t.options["strip"])
	if err == nil {
		r.Redirect = resources.RedirectOf(parsed)
		err = f.fits(l, r)
	}
	if err != nil {
		f.left(t.line, t.text, "redirect: %v; its requests are answered with 501", err)
		r = refusal(r.Match, f.file, t.line)
	}
	f.draft.add(l, r, t.origin())
}

// rewrite converts strip, prepend and host.
func (f *fabio) rewrite(r *config.Route, t *fabioTarget) {
	w := config.Rewrite{}
	strip, prepend := t.options["strip"], t.options["prepend"]
	if prepend != "" && prepend[0] != '/' {
		prepend = "/" + prepend
	}
	switch {
	case strip != "" && strip[0] == '/':
		w.PathRegex, w.Substitution = "^"+quoteRegex(strip)+"/?", quoteSubstitution(prepend)+"/"
		if prepend != "" && !strings.HasPrefix(r.Match.PathPrefix, strip) {
			f.differs(t.line, t.text, "prepend is put in front only where strip is taken away")
		}
	case prepend != "":
		w.PathRegex, w.Substitution = "^(.*)$", quoteSubstitution(prepend)+`\1`
	}
	switch host := t.options["host"]; host {
	case "":
	case "dst":
		w.Host = "endpoint"
	default:
		w.Host = host
	}
	if w != (config.Rewrite{}) {
		r.Rewrite = &w
	}
}

// cluster makes a cluster of the targets, with Fabio's shares.
func (f *fabio) cluster(name string, targets []*fabioTarget) bool {
	c := config.NewCluster()
	fixed, others := 0.0, 0
	for _, t := range targets {
		if t.weight > 0 {
			fixed += t.weight
		} else {
			others++
		}
	}
	for _, t := range targets {
		address := t.url.Host
		if t.url.Port() == "" {
			address += map[bool]string{true: ":443", false: ":80"}[t.url.Scheme == "https"]
		}
		s := config.NewStaticEndpoint(address)
		switch {
		case fixed == 0:
		case t.weight > 0:
			s.Weight = max(1, int(math.Round(min(t.weight, 100)*10_000)))
		case fixed >= 1:
			f.left(t.line, t.text, "the weights of the others leave nothing for it")
			continue
		default:
			s.Weight = max(1, int(math.Round((1-fixed)*10_000/float64(others))))
		}
		if !slices.ContainsFunc(c.Static, func(e config.StaticEndpoint) bool { return e.Address == s.Address }) {
			c.Static = append(c.Static, s)
		}
	}
	if divisor := common(c.Static); divisor > 1 {
		for i := range c.Static {
			c.Static[i].Weight /= divisor
		}
	}
	if !slices.ContainsFunc(c.Static, func(e config.StaticEndpoint) bool { return e.Weight != 1 }) {
		for _, e := range c.Static {
			c.Endpoints = append(c.Endpoints, e.Address)
		}
		c.Static = nil
	}
	f.transport(&c, targets)
	return f.addCluster(name, c, targets[0].origin())
}

// common is what all weights can be divided by.
func common(all []config.StaticEndpoint) (divisor int) {
	for _, e := range all {
		a, b := e.Weight, divisor
		for b != 0 {
			a, b = b, a%b
		}
		divisor = a
	}
	return divisor
}

// transport converts how the targets are spoken to.
func (f *fabio) transport(c *config.Cluster, targets []*fabioTarget) {
	first := targets[0]
	how := func(t *fabioTarget) [4]string {
		o := t.options
		return [4]string{cmp.Or(o["proto"], t.url.Scheme), o["tlsskipverify"], o["grpcservername"]}
	}
	for _, t := range targets[1:] {
		if how(t) != how(first) {
			f.differs(t.line, t.text, "all targets are spoken to as the first one, in line %d", first.line)
		}
	}
	tls := false
	c.Protocol = "http1"
	switch proto := cmp.Or(first.options["proto"], first.url.Scheme); proto {
	case "http", "ws":
	case "https", "wss":
		tls = true
	case "grpc", "h2c":
		c.Protocol = "http2"
	case "grpcs":
		c.Protocol, tls = "http2", true
	default:
		f.left(first.line, first.text, "proto: %q is none of http, https, grpc and grpcs: plain HTTP was taken", proto)
	}
	if !tls {
		return
	}
	c.TLS = config.NewClusterTLS()
	c.TLS.InsecureSkipVerify = first.options["tlsskipverify"] == "true"
	c.TLS.SNI = first.options["grpcservername"]
}
