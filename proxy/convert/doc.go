// Package convert turns the configuration of another proxy into one of hopscope's, as far
// as it goes, and lists every line that it could not, with the reason.
//
//	result, err := convert.Envoy("envoy.yaml", data)
//	os.Stdout.Write(result.YAML) // passes hopscope check
//	for _, n := range result.Notes {
//		fmt.Fprintln(os.Stderr, n) // envoy.yaml:12: not converted: ...
//	}
//
// Nothing is left out in silence: what no reader of this package has asked for is listed.
// A route whose action can't be said keeps its place, and answers 501, so that no other
// route takes its requests. What stays without a word are names that only metrics show,
// and settings that hopscope always has. The package reads no file and opens no socket.
//
// Start reading at convert.go. [Envoy] is in envoy*.go, and node.go reads YAML for it, and
// remembers which of it was read. [HAProxy] is in haproxy*.go, [Fabio] in
// fabio.go.
package convert
