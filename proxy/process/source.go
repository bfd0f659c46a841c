package process

import (
	"context"
	"path/filepath"
	"time"

	endpoints "github.com/hopscope/hopscope/discovery/file"
	"github.com/hopscope/hopscope/discovery/filewatch"
	"github.com/hopscope/hopscope/proxy/config"
)

// pollFile is how often the configuration file is looked at even if the system reports
// no change.
const pollFile = 5 * time.Second

// Source is where a configuration comes from.
type Source struct {
	// Name is what the log calls it: "the file".
	Name string
	// Location is where it is, for people to find it: a file's absolute path, or a key's URL
	// without its parameters. Empty is the command line.
	Location string
	// Read returns the configuration as it is now, defaulted and validated.
	Read func(context.Context) (*config.Config, error)
	// Watch calls changed after each change since the Source was made, until ctx is
	// done, and warn if it can't look. Nil means that the configuration never changes.
	Watch func(ctx context.Context, changed func(), warn func(error))

	close func() // nil for nothing to close
}

// Close releases what the Source holds. It may be called twice.
func (s Source) Close() {
	if s.close != nil {
		s.close()
	}
}

// At returns the Source of a location: a file's path, or a key in Consul as a URL
// (consul://host:port/key). The environment counts where it says nothing. Make it before the first Read, so that no change is missed.
// [Run] closes it.
func At(location string, e *config.Environment) Source {
	if isKey(location) {
		return consulSource(location, e)
	}
	return fileSource(location, e)
}

// Check returns the configuration at a location, with the environment under it, or what is
// wrong with it. For a file, it also reads the lists of endpoints that the file names.
func Check(ctx context.Context, location string, e *config.Environment) (*config.Config, error) {
	if isKey(location) {
		return readKey(ctx, location, e)
	}
	return e.CheckWithEndpoints(location, endpoints.Check)
}

// fileSource watches the file by its name: a replaced file or symbolic link is a change,
// too. It also watches the files of routes, and those with users, that the file names.
func fileSource(path string, e *config.Environment) Source {
	location := path
	if absolute, err := filepath.Abs(path); err == nil {
		location = absolute
	}
	w := filewatch.New(filewatch.Options{Files: []string{path}, Poll: pollFile})
	return Source{
		Name:     "the file",
		Location: location,
		Read: func(context.Context) (*config.Config, error) {
			for {
				c, more, err := e.CheckWatched(path)
				if !w.Also(more, matching) {
					return c, err
				}
			}
		},
		Watch: func(ctx context.Context, changed func(), _ func(error)) { w.Run(ctx, changed) },
		close: w.Close,
	}
}

// matching are the files that a pattern of routes_from names.
func matching(pattern string) []string {
	files, _ := config.MatchRouteFiles(pattern)
	return files
}
