// Package redact hides credentials in what people see: queries, URLs, and texts that may
// contain them, such as errors and configurations.
//
// All code that prints a configuration, or an error that may quote a URL, must use it.
// One place decides what is a credential, by the name in front of the value; see
// query.go. If the secret itself is known, [Values] hides it wherever it appears. The
// package is pure. Start reading at [Text].
package redact
