package file

import "strings"

// nearest returns the word that name was most likely meant to be, or "" when
// none is near: at most a third of its letters may be wrong.
func nearest(name string, words []string) string {
	if len(name) > 32 {
		return ""
	}
	best, least := "", len(name)+1
	for _, word := range words {
		wrong := distance(strings.ToLower(name), word)
		if wrong <= max(1, len(word)/3) && wrong < len(word) && wrong < least {
			best, least = word, wrong
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
