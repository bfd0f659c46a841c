// Package compress is the filter that compresses responses for clients that accept it (RFC
// 9110 sections 8.4 and 12.5.3).
//
// Content is compressed as it passes, and flushed where the response is, so that events
// arrive when they are sent. What is compressed already stays as it is, and so does what
// its sender wants nobody to change. The filter does not decompress. Start reading at
// [New]; what a response has to be like is in response.go.
package compress
