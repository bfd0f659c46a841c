package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// routeTests are the tests of routes that check runs.
type routeTests struct {
	files []string
	all   bool // every route must be taken by some test
}

// run runs the tests, and says how many routes they cover. It returns an error if one fails.
func (t *routeTests) run(w io.Writer, c *config.Config) error {
	var tests []located
	for _, file := range t.files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the tests: %w", err)
		}
		list, err := config.ParseRouteTests(file, data)
		if err != nil {
			return err
		}
		for i := range list {
			tests = append(tests, located{file, &list[i]})
		}
	}
	e, err := snapshot.NewExplainer(c)
	if err != nil {
		return err
	}
	defer e.Close()
	taken := map[string]map[int]bool{} // the routes by listener and number
	failed := 0
	for _, test := range tests {
		x, err := e.Explain(explain.Question(&test.RouteTest))
		if err != nil {
			failed++
			fmt.Fprintf(w, "%s: %v\n", test, err)
			continue
		}
		if x.Route != nil && !x.Route.Catalog {
			if taken[x.Listener] == nil {
				taken[x.Listener] = map[int]bool{}
			}
			taken[x.Listener][x.Route.Number] = true
		}
		differences := x.Differences(&test.Expect)
		if len(differences) > 0 {
			failed++
		}
		for _, d := range differences {
			fmt.Fprintf(w, "%s: %s\n", test, d)
		}
	}
	untested := coverage(w, c, taken)
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d tests of routes failed", failed, len(tests))
	case t.all && untested > 0:
		return errors.New("not every route is tested, which --all-routes asks for")
	}
	fmt.Fprintf(w, "%d tests of routes passed\n", len(tests))
	return nil
}

// located is a test with its file.
type located struct {
	file string
	*config.PlacedTest
}

func (l located) String() string { return fmt.Sprintf("%s:%d: %s", l.file, l.Line, l.Name) }

// coverage says which routes no test has taken, and returns how many.
func coverage(w io.Writer, c *config.Config, taken map[string]map[int]bool) (untested int) {
	routes := 0
	for i := range c.Listeners {
		l := &c.Listeners[i]
		var left []string
		for k, name := range snapshot.RouteNames(c, l.Name) {
			if routes++; !taken[l.Name][k+1] {
				left = append(left, fmt.Sprintf("%d (%s)", k+1, name))
			}
		}
		if untested += len(left); len(left) > 0 {
			fmt.Fprintf(w, "routes of listener %s that no test takes: %s\n", l.Name, strings.Join(left, ", "))
		}
	}
	if routes > 0 {
		fmt.Fprintf(w, "%d of %d routes are tested (%.0f %%)\n", routes-untested, routes, float64(routes-untested)*100/float64(routes))
	}
	return untested
}
