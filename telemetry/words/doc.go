// Package words explains the words that hopscope uses for what went wrong: response flags,
// the error types of RFC 9209 section 2.3, and kinds of failures. Each has its meaning, its
// usual causes in order, and what to look at next. The verdict on a trace, "hopscope
// explain", the pages of the admin API and docs/flags.md all take them from here.
//
// It is pure, and has tables only. Start reading at [Entry].
package words
