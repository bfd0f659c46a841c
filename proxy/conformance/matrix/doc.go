// Package matrix has the tests that run for each pair of protocols: what clients speak and
// what endpoints do.
package matrix
