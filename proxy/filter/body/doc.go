// Package body is the filter that bounds a request's content, and waits for all of it if it
// is told to.
//
// It does not look into the content, and it does not bound responses. Start reading at
// [New].
package body
