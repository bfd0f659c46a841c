package config

import (
	_ "embed"
	"strings"
)

// commentLines are the doc comments of the keys, which are their only description: see
// docs/generate. The binary has no use for the rest of the source, nor for a parser of it.
//
//go:embed comments.txt
var commentLines string

// comments has the doc comments under "Cluster" for types and "Cluster.TLS" for fields. They
// are plain lines of text that name keys as the file does.
type comments map[string]string

func readComments() comments {
	texts := make(comments)
	for line := range strings.Lines(commentLines) {
		of, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		texts[of] = text
	}
	return texts
}

// field is the comment of a key.
func (c comments) field(k key) string {
	return startWith(c[k.owner+"."+k.field], k.field, k.name)
}

// startWith replaces the Go name with which a comment begins.
func startWith(text, from, to string) string {
	if rest, ok := strings.CutPrefix(text, from+" "); ok {
		return to + " " + rest
	}
	return text
}
