// Package panics counts and tells of panics that were contained: a defect costs the
// request that met it, and not the process. It is not for errors, and it contains
// nothing itself: whoever drives a request recovers, and calls [Counter.Caught].
package panics
