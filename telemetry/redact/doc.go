// Package redact hides credentials in what people are shown: queries, URLs, and
// texts that may hold either, such as errors and configurations.
//
// Whatever prints a configuration, or an error that may quote a URL, goes
// through here. What counts as a credential is decided in one place, by the name
// that stands in front of the value; see query.go. Where the secret itself is
// known, [Values] hides it wherever it appears. The package is pure. Start
// reading at [Text].
package redact
