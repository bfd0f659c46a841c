// Package accesslog is the view of Hops as lines: one JSON object for each, in
// a file or on standard output.
//
// The recorder's goroutine only appends lines to chunks of memory; a goroutine
// of the log's own writes them. A full disk or a reader that stopped reading
// costs lines, which are counted, and never time.
//
// It is not a logger for events of the proxy itself. Start reading at
// [AppendLine], which is the format; then [Log], and writer.go for what happens
// when writing fails.
package accesslog
