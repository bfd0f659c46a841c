package words

import (
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Entry explains a word.
type Entry struct {
	// Word is the word itself, such as "UF".
	Word string
	// Meaning is what it says, in half a sentence.
	Meaning string
	// Causes are the usual causes, the most frequent first, a sentence each.
	Causes []string
	// Next is what to look at next, in order, a sentence each.
	Next []string
}

// Flag explains the first flag of the set. The entry is empty if there is none.
func Flag(f hop.Flags) Entry {
	e := flags[f.First()]
	e.Word, e.Meaning = f.Code(), f.Hint()
	return e
}

// ErrorTypes returns the entries of all error types of RFC 9209, in its order.
func ErrorTypes() []Entry { return errorTypes[:] }

// ErrorType explains an error type of RFC 9209; false if there is none of that name.
func ErrorType(name string) (Entry, bool) { return find(errorTypes[:], name) }

// Terms returns the entries of the other words: kinds and details that are no failure of a
// proxy's own.
func Terms() []Entry { return terms[:] }

// Kind says in half a sentence what a kind of failure is, such as "connect_refused"; "" if
// there is none of that name.
func Kind(name string) string { return kinds[name] }

// Kinds returns the names of all kinds of failures of a proxy's own, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Plain returns a sentence without the marks of Markdown, for a terminal or a page.
func Plain(s string) string {
	s = strings.ReplaceAll(s, "`", "")
	for {
		text, rest, ok := strings.Cut(s, "](")
		before, label, opened := strings.Cut(text, "[")
		_, after, closed := strings.Cut(rest, ")")
		if !ok || !opened || !closed {
			return s
		}
		s = before + label + after
	}
}

func find(all []Entry, word string) (Entry, bool) {
	for _, e := range all {
		if e.Word == word {
			return e, true
		}
	}
	return Entry{}, false
}

var terms = [...]Entry{
	{"error_response", "the application itself answered with an error: a status of 500 and above, or a gRPC status that is the server's fault",
		[]string{"A defect in the application.", "A call of its own failed, past the proxy or without the trace's headers."},
		[]string{"The application's log at the time of the request.", "Whether it copies traceparent and tracestate, or b3, to what it calls."}},
	{"lost_context", "the application answered with an error, passes no trace context on, and a call of its failed meanwhile: nothing tells whether for this request",
		[]string{"The call that failed.", "A defect in the application."},
		[]string{"Have the application copy traceparent and tracestate, or b3, to what it calls: then the next failure has a name.", "The failed outbound hops of the service at that time."}},
	{"no_time_left", "the call had hardly any of the time that its own route allows: the service that called had used it up before",
		[]string{"The application works for long before it calls.", "It makes many calls, one after the other.", "It repeats calls that fail, or goes on after calls that time out."},
		[]string{"Where the time of the trace went (`hopscope trace ID`).", "The timeouts of the calls before this one."}},
	{"via_upstream", "the response came from the endpoint; the proxy passed it on",
		[]string{"The application answered so.", "A hop behind it answered so: `Proxy-Status` names it."},
		[]string{"`failed_hop` in the access log, or `hopscope-failed-hop` in `Proxy-Status`."}},
	{"direct_response", "the proxy answered itself, as its configuration says",
		[]string{"A redirect or a fixed answer of a route."},
		[]string{"The route (`route` in the access log)."}},
}
