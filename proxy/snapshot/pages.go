package snapshot

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/problem"
	"github.com/hopscope/hopscope/proxy/resources"
)

// resourcesOf returns what a configuration says, with the error pages that it names. The
// error has a line for each page that can't be used.
func resourcesOf(c *config.Config) (*resources.Set, error) {
	s := resources.FromConfig(c)
	var mistakes []error
	for _, l := range s.Listeners {
		for i := range l.HTTP.ErrorPages {
			content, err := readPage(l.HTTP.ErrorPages[i].File)
			if err == nil {
				_, err = problem.ParsePage(content, l.HTTP.ProxyStatus == "append")
			}
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("listener %s: error_pages[%d]: %s: %w", l.Name, i, l.HTTP.ErrorPages[i].File, err))
			}
			l.Pages = append(l.Pages, string(content))
		}
	}
	return s, errors.Join(mistakes...)
}

// readPage reads a page, and not much of one that is too large.
func readPage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err // the path is in the message
		}
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, problem.MaxPage+1))
}

// errorPages are the pages of a listener.
func (g *generation) errorPages(lc *config.Listener) (all problem.Pages) {
	for _, l := range g.base.Listeners {
		if l.Name != lc.Name {
			continue
		}
		for i, content := range l.Pages {
			page, err := problem.ParsePage([]byte(content), lc.ProxyStatus == "append")
			if err != nil {
				continue // not reached: the pages were read
			}
			all = append(all, pagesFor(lc.ErrorPages[i].Statuses, page)...)
		}
	}
	return all
}

// pagesFor are the entries of a page for the statuses that are written.
func pagesFor(statuses []string, page *problem.Page) (all []problem.PageFor) {
	if len(statuses) == 0 {
		return []problem.PageFor{{First: 400, Last: 599, Page: page}}
	}
	for _, s := range statuses {
		if first, last, err := config.Statuses(s); err == nil { // it is valid
			all = append(all, problem.PageFor{First: first, Last: last, Page: page})
		}
	}
	return all
}
