package cmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

// explanation is a word as explain prints it.
type explanation struct {
	Word    string   `json:"word"`
	Type    string   `json:"type"` // "flag", "error type", "kind" or "word"
	Meaning string   `json:"meaning"`
	Causes  []string `json:"causes"`
	Next    []string `json:"look_next"`
	// Failures are what the proxy calls so: one for a kind, several for a flag.
	Failures []failure `json:"failures,omitempty"`
}

// failure is a row of the data plane's table of failures.
type failure struct {
	Kind      string `json:"kind"`
	Meaning   string `json:"meaning"`
	Flag      string `json:"flag"`
	Detail    string `json:"detail"`
	Status    int    `json:"status,omitempty"` // 0 where there is nobody left to answer
	ErrorType string `json:"error_type,omitempty"`
}

func newExplain() *cobra.Command {
	var q question
	var routes routeFlags
	c := &cobra.Command{
		Use:   "explain [WORD...] | explain -c FILE [METHOD] URL | explain --hop ID",
		Short: "Explain where a request goes, or a word such as a response flag",
		Long: `With -c, explain says what a proxy with that configuration does with a request: which
route takes it, and for each route before that the first condition that the request
does not meet; the filters; the clusters that it may go to, with their chances, and
the request as it goes out; timeouts and retries. It asks the code of the proxy
itself, but opens no socket, asks no source of endpoints, and sends nothing.

With --hop it explains a request that happened: ID is its trace id. It asks a running
proxy (--admin), and through it all proxies of its mesh, or each itself (--peers). Few
fields of requests are recorded; name others with -H.

Without these, explain says what a word means that hopscope uses for what went wrong, what
usually causes it, and what to look at next. A word is a response flag (UF), a detail
(upstream_overflow), an error type of RFC 9209 (connection_timeout), or a kind of
failure (cert_expired). Several flags may be joined by commas, as in an access log.
Without a word it lists all. The exit code is 2 if a word is not known.`,
		Example: "  hopscope explain -c hopscope.yaml GET https://shop.example.com/cart/7 -H 'x-user-group: beta'\n  hopscope explain --hop 4bf92f3577b34da6a3ce929d0e0e4736\n  hopscope explain UF\n  hopscope explain UC,URX connection_timeout\n  hopscope explain --json no_healthy",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case routes.hop != "" && (routes.location != "" || len(args) > 0):
				return misuse(c, errors.New("--hop is about a request that happened: leave out -c and the request"))
			case routes.hop != "":
				return routes.explainHop(c, &q)
			case routes.location != "":
				return routes.explainRoute(c, args, q.asJSON)
			case routes.used(c):
				return misuse(c, errors.New("what becomes of a request follows from a configuration: give its file with -c"))
			}
			return explainWords(c.OutOrStdout(), args, q.asJSON)
		},
		ValidArgsFunction: func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var all []string
			for _, e := range everyWord() {
				all = append(all, e.Word+"\t"+e.Meaning)
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
	}
	routes.add(c)
	q.addFlags(c)
	return c
}

// unknownWords are words that explain does not know.
type unknownWords []string

func (u unknownWords) Error() string { return strings.Join(u, "\n") }

// explainWords writes what the words mean; all words, a line each, if there are none.
func explainWords(w io.Writer, args []string, asJSON bool) error {
	all := everyWord()
	found := all
	var unknown unknownWords
	if len(args) > 0 {
		found, unknown = look(all, args)
	}
	var b bytes.Buffer
	switch {
	case asJSON:
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(append([]explanation{}, found...)); err != nil {
			return err
		}
	case len(args) == 0:
		list(&b, all)
	default:
		for i := range found {
			if i > 0 {
				b.WriteByte('\n')
			}
			found[i].write(&b)
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	if unknown != nil {
		return unknown
	}
	return nil
}

// everyWord returns all that can be explained: flags, error types, kinds and the rest.
func everyWord() (all []explanation) {
	failures := func(fits func(fault.Kind) bool) (rows []failure) {
		for _, k := range fault.All() {
			if fits(k) {
				rows = append(rows, failure{k.String(), words.Kind(k.String()), k.Flag().String(), k.Details(), k.Status(), k.ProxyError()})
			}
		}
		return rows
	}
	add := func(e words.Entry, kind string, rows []failure) {
		all = append(all, explanation{e.Word, kind, e.Meaning, e.Causes, e.Next, rows})
	}
	for _, f := range hop.All() {
		add(words.Flag(f), "flag", failures(func(k fault.Kind) bool { return k.Flag() == f }))
	}
	for _, e := range words.ErrorTypes() {
		add(e, "error type", failures(func(k fault.Kind) bool { return k.ProxyError() == e.Word }))
	}
	for _, k := range fault.All() {
		add(k.Explain(), "kind", failures(func(other fault.Kind) bool { return other == k }))
	}
	for _, e := range words.Terms() {
		add(e, "word", nil)
	}
	return all
}

// look finds the words, and says for each that is not known what is near.
func look(all []explanation, args []string) (found []explanation, unknown unknownWords) {
	for _, arg := range args {
		for word := range strings.SplitSeq(arg, ",") {
			n := len(found)
			for _, e := range all {
				if e.called(word) && !slices.ContainsFunc(found, func(f explanation) bool { return f.Word == e.Word && f.Type == e.Type }) {
					found = append(found, e)
				}
			}
			if len(found) == n && !slices.ContainsFunc(all, func(e explanation) bool { return e.called(word) }) {
				unknown = append(unknown, notKnown(all, word))
			}
		}
	}
	return found, unknown
}

// called reports whether the word is one for this: its own, or for a kind its detail.
func (e *explanation) called(word string) bool {
	return strings.EqualFold(e.Word, word) || e.Type == "kind" && strings.EqualFold(e.Failures[0].Detail, word)
}

// notKnown says that a word is not known, and which are the nearest.
func notKnown(all []explanation, word string) string {
	type near struct {
		word     string
		distance int
	}
	var names []near
	for _, e := range all {
		distance := distance(strings.ToLower(e.Word), strings.ToLower(word))
		if word != "" && strings.Contains(strings.ToLower(e.Word), strings.ToLower(word)) {
			distance = 0
		}
		if distance <= max(len(word), len(e.Word))/3 {
			names = append(names, near{e.Word, distance})
		}
	}
	slices.SortStableFunc(names, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	text := fmt.Sprintf("nothing is called %q", word)
	var nearest []string
	for _, n := range names {
		if !slices.Contains(nearest, n.word) && len(nearest) < 5 {
			nearest = append(nearest, n.word)
		}
	}
	if len(nearest) == 0 {
		return text + "; hopscope explain lists all words"
	}
	return text + "; did you mean " + strings.Join(nearest, ", ") + "?"
}

// distance is how many characters have to be added, removed or changed to make a of b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0]++
		for j := range len(b) {
			changed := corner
			if a[i] != b[j] {
				changed++
			}
			corner = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// list writes a line for each word.
func list(b *bytes.Buffer, all []explanation) {
	title := ""
	for _, e := range all {
		if e.Type != title {
			if title != "" {
				b.WriteByte('\n')
			}
			title = e.Type
			fmt.Fprintf(b, "%s\n", map[string]string{"flag": "Response flags", "error type": "Error types of RFC 9209",
				"kind": "Kinds of failures", "word": "Other words"}[title])
		}
		fmt.Fprintf(b, "  %-35s %s\n", e.Word, e.Meaning)
	}
}

// write writes all that is known of the word.
func (e *explanation) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s (%s): %s\n", e.Word, e.Type, e.Meaning)
	b.WriteString("  usual causes, the most frequent first:\n")
	for i, cause := range e.Causes {
		fmt.Fprintf(b, "    %d. %s\n", i+1, words.Plain(cause))
	}
	b.WriteString("  look next at:\n")
	for _, next := range e.Next {
		fmt.Fprintf(b, "    - %s\n", words.Plain(next))
	}
	if len(e.Failures) == 0 {
		return
	}
	b.WriteString("  failures:\n")
	for _, f := range e.Failures {
		status := "no answer"
		if f.Status != 0 {
			status = fmt.Sprint(f.Status)
		}
		fmt.Fprintf(b, "    - %s: %s\n      %s\n", f.Kind, f.Meaning,
			strings.Join(slices.DeleteFunc([]string{f.Flag, status, f.ErrorType, f.Detail}, func(s string) bool { return s == "" }), ", "))
	}
}
