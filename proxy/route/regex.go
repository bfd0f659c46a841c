package route

import "regexp"

// Regex is a regular expression (RE2) that a whole text must match.
type Regex struct {
	whole  *regexp.Regexp
	prefix string // that every match begins with
}

// ParseRegex compiles an expression.
func ParseRegex(text string) (*Regex, error) {
	alone, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, err
	}
	prefix, _ := alone.LiteralPrefix()
	return &Regex{whole: whole, prefix: prefix}, nil
}

// Match reports whether all of a text matches.
func (r *Regex) Match(text []byte) bool { return r.whole.Match(text) }
