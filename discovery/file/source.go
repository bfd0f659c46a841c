package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/filewatch"
)

// maxBytes is how large a file may be: tens of thousands of endpoints.
const maxBytes = 4 << 20

// Options are a Source's settings.
type Options struct {
	// Path is the file. It need not exist.
	Path string
	// Settle is the pause between the first sign of a change and reading the file, so that
	// what is written in several steps is seen whole. 0 is 100 ms.
	Settle time.Duration
	// Poll is how often to read the file even without a sign, because not all file systems
	// give one. 0 is 5 s.
	Poll time.Duration
}

// Source is a [discovery.Source] that follows a file.
type Source struct{ options Options }

// New checks the options. It does not read the file: mistakes in it are delivered, and can
// be put right.
func New(o Options) (*Source, error) {
	switch {
	case o.Path == "":
		return nil, errors.New("path: it is empty; name the file of endpoints")
	case o.Settle < 0:
		return nil, fmt.Errorf("settle: it is at least 0, found %s", o.Settle)
	case o.Poll < 0:
		return nil, fmt.Errorf("poll: it is at least 0, found %s", o.Poll)
	}
	return &Source{options: o}, nil
}

// Run delivers what the file says, and again after each change.
func (s *Source) Run(ctx context.Context, deliver func(discovery.Update)) {
	w := filewatch.New(filewatch.Options{
		Files: []string{s.options.Path}, MaxBytes: maxBytes, Settle: s.options.Settle, Poll: s.options.Poll,
	})
	last, _ := s.read(discovery.Update{})
	deliver(last)
	w.Run(ctx, func() {
		next, news := s.read(last)
		if discovery.Short(next.Err) {
			w.Forget()
		}
		if news {
			last = next
			deliver(next)
		}
	})
}

// read returns what the file says, and whether that is news. If the file can't be used it
// returns what it said last, with the reason.
func (s *Source) read(last discovery.Update) (next discovery.Update, news bool) {
	next.Endpoints, next.Err = load(s.options.Path)
	if next.Err != nil {
		next.Endpoints = last.Endpoints
	}
	return next, !next.Same(last)
}

// Check reports whether a Source could use the file. The error is an [Errors] if the file
// can be read.
func Check(path string) error {
	_, err := load(path)
	return err
}

func load(path string) ([]discovery.Endpoint, error) {
	data, err := filewatch.Read(path, maxBytes)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}
