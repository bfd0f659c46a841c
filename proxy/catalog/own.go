package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The most that a tag may ask for: it is written by one service, and a slip of it should
// cost that service alone.
const (
	maxRetries  = 10
	maxRequests = 1_000_000
	maxBody     = 1 << 40
)

// limits are what a tag of hopscope's own form says of the requests of its route.
type limits struct {
	// attempts is how often a request is sent at most: 1 is without retries; 0 says nothing.
	attempts    int
	retryOn     string // sorted, with commas between them
	idle        time.Duration
	maxRequests int   // under way at once; 0 is no limit
	maxBody     int64 // bytes of content; 0 is no limit
}

// retryWords are the reasons to send a request again that need no list beside them.
var retryWords = []string{
	"5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx",
	"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// own takes an option that Fabio does not have; known is false for one that hopscope does
// not have either.
func (t *tag) own(name, value string) (known bool, err error) {
	switch name {
	case "methods":
		t.hostPath.methods, err = parseMethods(value)
	case "retries":
		var n int
		if n, err = number(value, 0, maxRetries); err == nil {
			t.limits.attempts = n + 1
		}
	case "retry_on":
		t.limits.retryOn, err = parseRetryOn(value)
	case "idle_timeout":
		t.limits.idle, err = positive(value)
	case "max_requests":
		t.limits.maxRequests, err = number(value, 1, maxRequests)
	case "body":
		t.limits.maxBody, err = parseSize(value)
	default:
		return false, nil
	}
	return true, err
}

// isOwn reports whether an option is one of those that Fabio does not have.
func isOwn(name string) bool {
	known, _ := new(tag).own(name, "")
	return known
}

// settle makes the same of what means the same.
func (l *limits) settle() {
	switch {
	case l.retryOn != "" && l.attempts == 0:
		l.attempts = 2
	case l.attempts == 1:
		l.retryOn = ""
	}
}

// parseMethods reads GET,POST. Letters may be small: methods of theirs are taken for slips.
func parseMethods(value string) (string, error) {
	all := strings.Split(strings.ToUpper(value), ",")
	for _, m := range all {
		if m == "" || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" || m == "CONNECT" {
			return "", fmt.Errorf("%q is no list of methods such as GET,POST", value)
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ","), nil
}

func parseRetryOn(value string) (string, error) {
	all := strings.Split(value, ",")
	for _, word := range all {
		if !slices.Contains(retryWords, word) {
			return "", fmt.Errorf("%q is none of %s", word, strings.Join(retryWords, ", "))
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ","), nil
}

func number(value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is no number from %d to %d", value, least, most)
	}
	return n, nil
}

// positive reads a duration.
func positive(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration such as 3s", value)
	}
	return d, nil
}

// parseSize reads a number of bytes, such as 65536, 64KiB or 10MiB.
func parseSize(value string) (int64, error) {
	digits, factor := value, int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if cut, ok := strings.CutSuffix(value, unit); ok {
			digits, factor = cut, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || int64(n) > maxBody/factor {
		return 0, errors.New(strconv.Quote(value) + " is no number of bytes such as 65536, 64KiB or 10MiB")
	}
	return int64(n) * factor, nil
}
