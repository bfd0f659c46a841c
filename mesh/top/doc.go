// Package top makes rates of what the proxies of a mesh have counted: how many requests a
// second each service has, and each call of another service, how many fail, and how long
// they take.
//
// Each proxy tells its [Counts] since its start; two of them, some time apart, make a
// [Table]. They are exact counts, and do not come from the store, which keeps a sample. The
// package is pure.
//
// Start reading at [Rates].
package top
