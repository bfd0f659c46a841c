package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// RouteTests is a file of requests, with what they must lead to: what hopscope check --tests
// reads.
type RouteTests struct {
	// Tests are the requests.
	Tests []RouteTest `yaml:"tests" required:"true"`
}

// PlacedTest is a test with the line of its file that it begins on.
type PlacedTest struct {
	RouteTest
	Line int
}

// RouteTest is a request, with what it must lead to.
type RouteTest struct {
	// Name names the test; the default is its request.
	Name string `yaml:"name"`
	// Request is a method and a URL, such as GET https://shop.example.com/cart/7, or a URL
	// alone for GET.
	Request string `yaml:"request" required:"true"`
	// Headers are its fields, by name.
	Headers map[string]string `yaml:"headers"`
	// Listener is the listener that it comes to, as hopscope explain has it.
	Listener string `yaml:"listener"`
	// Client is the address of the client; the default is 127.0.0.1.
	Client string `yaml:"client"`
	// Identity is a name in the client's certificate: a DNS name or a SPIFFE id.
	Identity string `yaml:"identity"`
	// HTTP2 says that it comes over HTTP/2.
	HTTP2 bool `yaml:"http2" default:"false"`
	// Chance is a number from 0 to 100: a route with percent takes the request if its percent
	// is above it. With -1 the route that most of such requests take is meant.
	Chance float64 `yaml:"chance" default:"-1" min:"-1" max:"100"`
	// Expect is what the request must lead to.
	Expect RouteExpect `yaml:"expect" required:"true"`
}

// RouteExpect is what a request must lead to. What is absent is not looked at.
type RouteExpect struct {
	// Route is the name of the route that takes it.
	Route string `yaml:"route"`
	// NoRoute says that no route takes it.
	NoRoute bool `yaml:"no_route" default:"false"`
	// Cluster is a cluster that it may go to.
	Cluster string `yaml:"cluster"`
	// Target is the path, with the query, that the endpoint is asked for.
	Target string `yaml:"target"`
	// Host is the Host field that the endpoint sees.
	Host string `yaml:"host"`
	// Headers are fields that the endpoint sees, by name.
	Headers map[string]string `yaml:"headers"`
	// Absent are names of fields that the endpoint does not see.
	Absent []string `yaml:"absent"`
	// Status is the status that the proxy itself answers with.
	Status int `yaml:"status" default:"0" min:"0" max:"599"`
	// Location is where a redirect leads.
	Location string `yaml:"location"`
}

// ParseRouteTests decodes tests of routes: one YAML document, strictly. name stands for the
// file in messages. Its error is an [Errors] with every mistake that was found.
func ParseRouteTests(name string, data []byte) ([]PlacedTest, error) {
	errs, root := &collector{file: name}, &place{line: 1, column: 1}
	body := parseYAML(errs, root, data, "a mapping with tests")
	if body == nil {
		return nil, errs.err()
	}
	tests := withDefaults[RouteTests]()
	k := key{typ: reflect.TypeFor[RouteTests]()}
	d := decoder{errs: errs, aliases: resolveAliases(errs, body)}
	d.decode(root, body, k, reflect.ValueOf(&tests).Elem())
	if !d.exhausted() {
		validator{errs: errs}.value(root, k, reflect.ValueOf(&tests).Elem())
	}
	var all []PlacedTest
	for i, one := range tests.Tests {
		p := root.key("tests").item(i)
		one.settle(errs, p)
		all = append(all, PlacedTest{one, p.line})
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return all, nil
}

func (t *RouteTest) settle(errs *collector, p *place) {
	if t.Name == "" {
		t.Name = t.Request
	}
	if len(different(&t.Expect, &RouteExpect{})) == 0 && t.Request != "" && !p.key("expect").broken() {
		errs.add(p.key("expect"), "it expects nothing; expected one of the keys %s", strings.Join(names(reflect.TypeFor[RouteExpect]()), ", "))
	}
	if n := len(strings.Fields(t.Request)); n > 2 {
		errs.add(p.key("request"), "expected a method and a URL, found %d words", n)
	}
}

func names(t reflect.Type) (all []string) {
	for _, k := range keysOf(t) {
		all = append(all, k.name)
	}
	return all
}

// Question is the method, the URL and the field lines of the request.
func (t *RouteTest) Question() (method, url string, headers []string) {
	words := strings.Fields(t.Request)
	if len(words) == 2 {
		method, words = words[0], words[1:]
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		headers = append(headers, name+": "+t.Headers[name])
	}
	return method, words[0], headers
}
