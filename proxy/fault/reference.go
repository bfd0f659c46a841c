package fault

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

const referenceIntro = `# Response flags

Generated from the tables in ` + "`telemetry/words` and `proxy/fault`" + `; do not edit.

A response flag says in a few letters why a request failed. It is in the access log (` + "`flags`" + `), metrics (label ` + "`flag`" + `), spans,
traces and ` + "`Proxy-Status`" + `. The flags are Envoy's, with Envoy's meaning; PANIC is hopscope's own. The detail beside a flag says more,
and the reason says it in words: ` + "`Proxy-Status`" + ` and spans have both, the access log has the reason (` + "`failure_reason`" + `).

` + "`hopscope explain UF`" + ` prints the same for a flag, a detail, an error type or a kind of failure.

| flag | meaning | usual causes, the most frequent first | where to look next |
|---|---|---|---|
`

const detailsIntro = `
## Details

The detail of each failure, its kind (` + "`hopscope-failed-kind` in `Proxy-Status`" + `), the status of the proxy's own response (none: there is
nobody left to send one to), and the error type of ` + "`Proxy-Status`" + `.

| flag | detail | kind | meaning | status | error type |
|---|---|---|---|---|---|
`

const errorsIntro = `
## Error types

The error types of [RFC 9209](https://www.rfc-editor.org/rfc/rfc9209.html#section-2.3). Proxies of other makers may send those that
hopscope does not.

| error type | meaning | usual causes, the most frequent first | where to look next |
|---|---|---|---|
`

// Reference returns a page about every response flag and every error type, in Markdown.
func Reference() []byte {
	var b bytes.Buffer
	set := map[hop.Flags]bool{hop.RetriesExhausted: true, hop.DelayInjected: true} // they are set beside the flag of a failure, or without one
	all := All()
	for _, k := range all {
		set[k.Flag()] = true
	}
	b.WriteString(referenceIntro)
	var unused []string
	for _, f := range hop.All() {
		if !set[f] {
			unused = append(unused, f.Code())
			continue
		}
		writeEntry(&b, words.Flag(f))
	}
	fmt.Fprintf(&b, "\nNothing sets these flags yet: %s.\n", strings.Join(unused, ", "))
	b.WriteString(detailsIntro)
	slices.SortStableFunc(all, func(a, b Kind) int { return cmp.Compare(a.Flag(), b.Flag()) })
	for _, k := range all {
		status := "none"
		if k.Status() != 0 {
			status = fmt.Sprint(k.Status())
		}
		// Problem documents (RFC 9457) have a link to the kind as their type.
		fmt.Fprintf(&b, "| %s | `%s` | <a id=\"%s\"></a>%[3]s | %s | %s | %s |\n", k.Flag(), k.Details(), k, words.Kind(k.String()), status, k.ProxyError())
	}
	b.WriteString(errorsIntro)
	for _, e := range words.ErrorTypes() {
		writeEntry(&b, e)
	}
	return b.Bytes()
}

func writeEntry(b *bytes.Buffer, e words.Entry) {
	fmt.Fprintf(b, "| %s | %s | %s | %s |\n", e.Word, e.Meaning, strings.Join(e.Causes, " "), strings.Join(e.Next, " "))
}

// Explain says what the kind is, its usual causes and what to look at next.
func (k Kind) Explain() words.Entry {
	e, ok := words.ErrorType(k.ProxyError())
	if !ok || k.Side() == Downstream {
		e = words.Flag(k.Flag()) // the causes of an error type are those of an endpoint's
	}
	e.Word, e.Meaning = k.String(), words.Kind(k.String())
	return e
}
