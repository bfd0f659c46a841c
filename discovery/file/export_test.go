package file

import "github.com/hopscope/hopscope/discovery"

// Read is what a Source does at each sign of change.
func (s *Source) Read(last discovery.Update) (next discovery.Update, news bool) { return s.read(last) }
