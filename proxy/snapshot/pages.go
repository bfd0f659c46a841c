package snapshot

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/httprule"
	"github.com/hopscope/hopscope/proxy/problem"
	"github.com/hopscope/hopscope/proxy/resources"
)

// resourcesOf returns what a configuration says, with the error pages, the answers, the users
// and the descriptors that it names. The error has a line for each file that can't be used.
func resourcesOf(c *config.Config) (*resources.Set, error) {
	s := resources.FromConfig(c)
	var mistakes []error
	users := userFiles{}
	for _, l := range s.Listeners {
		for i := range l.HTTP.ErrorPages {
			content, err := readStart(l.HTTP.ErrorPages[i].File, problem.MaxPage+1)
			if err == nil {
				_, err = problem.ParsePage(content, l.HTTP.ProxyStatus == "append")
			}
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("listener %s: error_pages[%d]: %s: %w", l.Name, i, l.HTTP.ErrorPages[i].File, err))
			}
			l.Pages = append(l.Pages, string(content))
		}
		t := s.Routes[l.Tables[0]]
		if err := errors.Join(readAnswers(t), users.routes(t), readDescriptors(t)); err != nil {
			mistakes = append(mistakes, fmt.Errorf("listener %s: %w", l.Name, err))
		}
	}
	mistakes = append(mistakes, users.catalog(s))
	return s, errors.Join(mistakes...)
}

// readAnswers reads what the routes of a listener answer with.
func readAnswers(t *resources.RouteTable) error {
	var mistakes []error
	for i := range t.Routes {
		a := t.Routes[i].Answer
		if a == nil || a.File == "" {
			continue
		}
		content, err := readStart(a.File, config.MaxAnswer+1)
		if err == nil && len(content) > config.MaxAnswer {
			err = fmt.Errorf("it has more than %d bytes", config.MaxAnswer)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("routes[%d].answer: %s: %w", i, a.File, err))
		}
		t.Routes[i].Content = string(content)
	}
	return errors.Join(mistakes...)
}

// readDescriptors reads the descriptors by which routes translate requests.
func readDescriptors(t *resources.RouteTable) error {
	var mistakes []error
	for i := range t.Routes {
		c := t.Routes[i].Policies.Transcode
		if c == nil {
			continue
		}
		content, err := readStart(c.Descriptors, httprule.MaxSet)
		c = c.WithContent(content)
		if err == nil {
			_, err = c.Schema()
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("routes[%d].transcode: %s: %w", i, c.Descriptors, err))
		}
		t.Routes[i].Policies.Transcode = c
	}
	return errors.Join(mistakes...)
}

// readStart reads the first bytes of a file.
func readStart(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err // the path is in the message
		}
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
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
