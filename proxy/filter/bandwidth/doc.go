// Package bandwidth is the filter that bounds how many bytes of content a second the requests
// of a route bring, and its responses take, all together.
//
// It slows down, and refuses nothing: what is too fast waits, and so does its sender. Tunnels
// are not bounded. Start reading at [New]; the arithmetic is in bucket.go.
package bandwidth
