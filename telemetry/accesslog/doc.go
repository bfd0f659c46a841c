// Package accesslog writes a line for each Hop, a JSON object, to a file or to standard
// output, and reads such lines back.
//
// The recorder's goroutine only appends lines to chunks of memory; another goroutine
// writes them. A full disk or a stuck reader costs lines, which are counted, but never
// time.
//
// It does not log events of the proxy itself. Start reading at [AppendLine], which is the
// format, and at [Format], which changes it: package operators has the command operators.
// Then [Log], and writer.go for failed writes. [ReadTrace] finds the hops of a trace in a log.
package accesslog
