package netio

import "time"

// Recheck is how long a wait lasts before the socket is looked at again.
const Recheck = recheck

// Size is how much the read buffer holds, in bytes; 0 where there is none.
func (c *Conn) Size() int { return len(c.data) }

// Borrows reports whether the connection has a buffer of Shared's.
func (c *Conn) Borrows() bool { return c.small != nil || c.large != nil }

// LargestBuffer is the largest size that a read buffer grows to.
const LargestBuffer = fasterSize

// Grow has the next buffer be the largest.
func (c *Conn) Grow() { c.want = faster }

// Lent is what all connections have in large buffers, in bytes.
func (c *Conn) Lent() int { return int(c.shared.Lent()) }

// Lend counts so many bytes of large buffers more.
func (c *Conn) Lend(n int) { c.shared.lent.Add(int64(n)) }

// Age makes the present buffer older.
func (c *Conn) Age(d time.Duration) { c.filled -= d }

// Timing reports whether the timer runs, and stops it.
func (c *Conn) Timing() bool { return c.timer != nil && c.timer.Stop() }

// Records counts the TLS records that begin in the pieces, and reports whether
// the last of them is whole.
func Records(pieces [][]byte) (n int, whole bool) {
	var f framing
	for _, p := range pieces {
		n += f.follow(p)
	}
	return n, f.whole()
}
