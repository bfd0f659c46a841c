// Package soak has the test that runs every protocol, streams and resets at once, for as
// long as HOPSCOPE_SOAK says. make soak runs it for ten minutes.
package soak
