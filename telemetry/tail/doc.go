// Package tail shows hops live, as they end. It is a view that keeps the latest in a ring,
// each with a number, so that readers come and go and ask for what is new since their last
// number. While nobody asks it keeps nothing. A reader that is too slow misses hops, and is
// told how many; it holds nothing up.
//
// Start reading at [Tail.Read].
package tail
