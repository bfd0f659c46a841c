package convert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

func quoteRegex(text string) string { return regexp.QuoteMeta(text) }

// quoteSubstitution is a text that takes the place of what an expression finds.
func quoteSubstitution(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }

// number is a number that the other proxy has checked; 0 if it is none.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func itoa(n int) string { return strconv.Itoa(n) }
