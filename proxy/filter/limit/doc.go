// Package limit is the filter that bounds how many requests of a route are under way at
// once. What it does not let through is shed: see package shed. Who is let in is decided by
// package gate. Start reading at [New].
package limit
