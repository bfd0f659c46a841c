package pathtemplate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Substitution replaces what a regular expression (RE2) finds in a path. It is immutable.
type Substitution struct {
	regex *regexp.Regexp
	with  string // in the form of package regexp
}

// ParseSubstitution compiles an expression and what takes the place of all that it finds.
// In that, \1 to \9 stand for the groups of the expression, \0 for all that was found, and
// \\ for a backslash.
func ParseSubstitution(regex, with string) (*Substitution, error) {
	compiled, err := regexp.Compile(regex)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for rest := with; rest != ""; {
		text, sign, ok := strings.Cut(rest, `\`)
		b.WriteString(strings.ReplaceAll(text, "$", "$$"))
		switch {
		case !ok:
			rest = ""
			continue
		case sign == "":
			return nil, fmt.Errorf(`behind the last \ nothing follows: write \\ for a backslash`)
		case sign[0] == '\\':
			b.WriteByte('\\')
		case sign[0] >= '0' && sign[0] <= '9':
			if n := int(sign[0] - '0'); n > compiled.NumSubexp() {
				return nil, fmt.Errorf(`\%d stands for a group that the expression does not have: it has %d`, n, compiled.NumSubexp())
			}
			b.WriteString("${" + strconv.Itoa(int(sign[0]-'0')) + "}")
		default:
			return nil, fmt.Errorf(`\%c means nothing: write \\ for a backslash`, sign[0])
		}
		rest = sign[1:]
	}
	return &Substitution{compiled, b.String()}, nil
}

// Apply returns the path with all that was found replaced.
func (s *Substitution) Apply(path []byte) []byte { return s.regex.ReplaceAll(path, []byte(s.with)) }
