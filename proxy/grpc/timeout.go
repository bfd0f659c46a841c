package grpc

import (
	"math"
	"strconv"
	"time"
)

// units are the letters of grpc-timeout, the smallest first.
var units = [...]struct {
	letter byte
	length time.Duration
}{
	{'n', time.Nanosecond}, {'u', time.Microsecond}, {'m', time.Millisecond},
	{'S', time.Second}, {'M', time.Minute}, {'H', time.Hour},
}

// maxTimeout is the largest number that fits the eight digits of grpc-timeout.
const maxTimeout = 99_999_999

const longest time.Duration = math.MaxInt64 / 2

// ParseTimeout reads the value of grpc-timeout: one to eight digits and a unit
// (H, M, S, m, u or n). What is longer than 146 years is as long as that, so that
// an instant can be added to it. ok is false where the value is malformed, and no timeout was
// given then.
func ParseTimeout(value []byte) (timeout time.Duration, ok bool) {
	digits := len(value) - 1
	if digits < 1 || digits > 8 {
		return 0, false
	}
	n := int64(0)
	for _, c := range value[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	for _, u := range units {
		if u.letter != value[digits] {
			continue
		}
		if n > int64(longest/u.length) {
			return longest, true
		}
		return time.Duration(n) * u.length, true
	}
	return 0, false
}

// AppendTimeout appends d as a value of grpc-timeout, in the smallest unit in
// which it takes at most eight digits. What is not a whole number of them is
// rounded up, so that nobody gives up before the caller does; a timeout that
// has passed is "0n".
func AppendTimeout(dst []byte, d time.Duration) []byte {
	d = max(d, 0)
	for _, u := range units {
		n := int64(d / u.length)
		if d%u.length > 0 {
			n++
		}
		if n <= maxTimeout { // of hours every duration is
			return append(strconv.AppendInt(dst, n, 10), u.letter)
		}
	}
	return dst
}
