// Package static is the source of endpoints that are written down in the
// configuration: it delivers them once and has nothing more to say. It resolves
// no names. Start reading at [New].
package static
