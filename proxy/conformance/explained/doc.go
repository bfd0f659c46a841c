// Package explained has black-box tests of what hopscope explains of requests: it must be
// what becomes of them.
package explained
