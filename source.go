package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/discovery/filewatch"
	"github.com/hopscope/hopscope/proxy/config"
)

// pollFile is how often the configuration file is looked at even if the system
// tells of no change.
const pollFile = 5 * time.Second

// source is where the configuration comes from.
type source struct {
	// name is what it is, for people: "the file".
	name string
	// read makes the configuration of what there is now.
	read func() (*config.Config, error)
	// watch calls changed after each change since the source was made, until ctx
	// is done, and warn where it can't be told what there is. It is nil where nothing can change: all was said on the command
	// line.
	watch func(ctx context.Context, changed func(), warn func(error))
}

// source is what the flags say. It is made before the configuration is read first,
// so that no change is lost between.
func (f *runFlags) source(c *cobra.Command) source {
	s := source{read: func() (*config.Config, error) { return f.config(c) }}
	switch {
	case isKey(f.file):
		s.name, s.watch = "the key", watchKey(f.file)
	case f.file != "":
		s.name, s.watch = "the file", watchFile(f.file)
	}
	return s
}

// watchFile watches a file by whatever way it changes, symbolic links included.
func watchFile(path string) func(context.Context, func(), func(error)) {
	w := filewatch.New(filewatch.Options{Files: []string{path}, Poll: pollFile})
	return func(ctx context.Context, changed func(), _ func(error)) { w.Run(ctx, changed) }
}
