// Package concurrency finds out how many requests at once a service does well with.
//
// A [Gradient] compares how long requests take now with how long they take while few are
// under way, and moves a limit by the ratio of the two: it falls when requests queue up, and
// rises again when they do not. Formula and defaults are those of Envoy's adaptive
// concurrency filter. The package is pure: time is passed in. It counts nothing that is
// under way; package gate does.
package concurrency
