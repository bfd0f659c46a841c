package strictyaml

import (
	"strings"
	"unicode"
)

// MaxNearest is the longest name for which a near one is looked for.
const MaxNearest = 64

// Nearest returns the candidate that name was most likely meant to be, or ""
// when none is near: at most a third of its letters may differ. Case, "-" and
// "_" do not count, so that connectTimeout finds connect_timeout.
func Nearest(name string, candidates []string) string {
	if len(name) > MaxNearest {
		return ""
	}
	folded := Fold(name)
	best, bestDistance := "", MaxNearest
	for _, c := range candidates {
		if len(c) > MaxNearest {
			continue
		}
		other := Fold(c)
		letters := max(len(folded), len(other))
		limit := max(1, letters/3)
		if d := editDistance(folded, other); d <= limit && d < letters && d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// Fold is the form in which names are compared: without case, "-", "_" and spaces.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// editDistance counts the letters to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func editDistance(a, b string) int {
	before := make([]int, len(b)+1) // row i-2
	above := make([]int, len(b)+1)  // row i-1
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
