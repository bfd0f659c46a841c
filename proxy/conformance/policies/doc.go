// Package policies has the tests of what a route does besides sending requests on: one file
// for each of its policies.
package policies
