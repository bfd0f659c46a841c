// Package retry has the tests of attempts: retries, hedges, their timeouts, budgets and
// content, and answers that come early.
package retry
