package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery/filewatch"
)

// RouteFile is a file of routes, which routes_from names.
type RouteFile struct {
	// Listener is the listener that the routes are for. It may be left out if there is one
	// alone.
	Listener string `yaml:"listener" format:"name"`
	// Routes are tried in order, before those that are written with the listener.
	Routes []Route `yaml:"routes" required:"true"`
}

// maxRouteFiles is how many files of routes a configuration may have.
const maxRouteFiles = 1000

// MatchRouteFiles returns the files that a pattern of routes_from names, in order. Like a
// shell, it leaves out names that begin with a dot, unless the pattern has that.
func MatchRouteFiles(pattern string) ([]string, error) {
	files, err := filepath.Glob(pattern)
	if strings.HasPrefix(filepath.Base(pattern), ".") {
		return files, err
	}
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), ".") }), err
}

// routeReader reads the files of routes of a configuration.
type routeReader struct {
	errs   *collector
	root   *place
	config *Config
	// read has the routes of the files for each listener, and places where they are.
	read   map[int][]Route
	places map[int][]*place
}

// readRoutes puts the routes of the files in front of those of their listeners.
func readRoutes(errs *collector, root *place, c *Config) {
	errs.watched = c.RoutesFrom
	r := routeReader{errs, root, c, map[int][]Route{}, map[int][]*place{}}
	seen := map[string]bool{}
	for i, pattern := range c.RoutesFrom {
		at := root.key("routes_from").item(i)
		for _, file := range r.match(at, pattern) {
			if seen[file] {
				continue
			}
			if seen[file] = true; len(seen) > maxRouteFiles {
				errs.add(at, "there are more than %d files of routes", maxRouteFiles)
				return
			}
			r.file(at, file)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(r.read)) {
		list := root.key("listeners").item(i).key("routes")
		list.putInFront(r.places[i], len(c.Listeners[i].Routes))
		c.Listeners[i].Routes = slices.Concat(r.read[i], c.Listeners[i].Routes)
	}
}

func (r *routeReader) match(at *place, pattern string) []string {
	files, err := MatchRouteFiles(pattern)
	switch {
	case pattern == "" || at.broken(): // reported
		return nil
	case err != nil:
		r.errs.add(at, "expected the path of a file, or a pattern such as routes/*.yaml, found %q: %v", clip(pattern), err)
	case len(files) == 0 && !strings.ContainsAny(pattern, `*?[\`):
		return []string{pattern} // reading it says what is wrong
	}
	return files
}

// file reads a file. Mistakes in it have their places there.
func (r *routeReader) file(at *place, name string) {
	data, err := filewatch.Read(name, maxBytes)
	if err != nil {
		r.errs.add(at, "%v", err)
		return
	}
	errs, top := &collector{file: name}, &place{file: name, line: 1, column: 1}
	f := r.decode(errs, top, data)
	r.errs.take(errs)
	if f == nil {
		return
	}
	i, ok := r.listener(top.key("listener"), f)
	if !ok {
		return
	}
	for j := range f.Routes {
		r.places[i] = append(r.places[i], top.key("routes").item(j))
	}
	r.read[i] = append(r.read[i], f.Routes...)
}

func (r *routeReader) decode(errs *collector, top *place, data []byte) *RouteFile {
	body := parseYAML(errs, top, data, "a mapping with routes")
	if body == nil {
		return nil
	}
	f, of := &RouteFile{}, key{typ: reflect.TypeFor[RouteFile]()}
	d := decoder{errs: errs, aliases: resolveAliases(errs, body)}
	d.decode(top, body, of, reflect.ValueOf(f).Elem())
	if d.exhausted() || top.failed {
		return nil
	}
	if len(f.Routes) == 0 && !top.key("routes").failed {
		validator{errs: errs}.missing(top.key("routes"), key{typ: reflect.TypeFor[[]Route]()})
	}
	return f
}

// listener is the index of the listener that a file is for.
func (r *routeReader) listener(at *place, f *RouteFile) (int, bool) {
	all := r.config.Listeners
	var names []string
	for i := range all {
		if names = append(names, all[i].Name); f.Listener != "" && all[i].Name == f.Listener {
			return i, true
		}
	}
	switch {
	case at.broken() || r.root.key("listeners").broken():
	case f.Listener == "" && at.written:
		r.errs.add(at, "must not be empty; expected the name of one of the listeners")
	case f.Listener != "":
		r.errs.add(at, "there is no listener %q%s", clip(f.Listener), r.errs.didYouMean(f.Listener, names))
	case len(all) != 1:
		r.errs.add(at, "required key is missing, as there are %d listeners; expected the name of one of them", len(all))
	default:
		return 0, true
	}
	return 0, false
}

// putInFront makes the places of other lists the first of this one, whose n items come
// after them. Each keeps its own path.
func (p *place) putInFront(others []*place, n int) {
	own := make([]*place, n)
	for i := range own {
		own[i] = p.item(i)
	}
	for i, item := range slices.Concat(others, own) {
		if p.children == nil {
			p.children = map[string]*place{}
		}
		p.children[fmt.Sprintf("[%d]", i)] = item
	}
}
