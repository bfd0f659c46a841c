// Package limits has the tests of what many clients or viewers share: the number of
// connections, and the admin API.
package limits
