// Package shed is the answer that filters give to requests that they do not let through:
// 503 or 429, and when to try again. It is no filter itself. Start reading at [Answer].
package shed
