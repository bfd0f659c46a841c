package admin

import (
	"net/http"
	"strings"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

// word explains a word that answers have.
type word struct {
	// Kind is "flag", "kind" (of failure), "error_type" (RFC 9209), "event" or "term".
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Title is what it means, in half a sentence; Text has the usual causes, and Remedy what
	// to look at next.
	Title  string   `json:"title"`
	Text   string   `json:"text"`
	Remedy string   `json:"remedy"`
	Causes []string `json:"causes"`
	Next   []string `json:"next"`
}

// words answers /v1/words: everything that answers have and that is explained.
func (a *api) words(w http.ResponseWriter, _ *http.Request) {
	var all []word
	add := func(kind string, entries ...words.Entry) {
		for _, e := range entries {
			causes, next := unmarked(e.Causes), unmarked(e.Next)
			all = append(all, word{kind, e.Word, words.Plain(e.Meaning), strings.Join(causes, " "), strings.Join(next, " "), causes, next})
		}
	}
	for _, f := range hop.All() {
		add("flag", words.Flag(f))
	}
	for _, k := range fault.All() {
		add("kind", k.Explain())
	}
	add("error_type", words.ErrorTypes()...)
	add("event", words.Events()...)
	add("term", words.Terms()...)
	writeJSON(w, http.StatusOK, all)
}

func unmarked(sentences []string) []string {
	all := []string{}
	for _, s := range sentences {
		all = append(all, words.Plain(s))
	}
	return all
}
