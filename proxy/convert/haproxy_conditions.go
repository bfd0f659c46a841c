package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// haCondition is a condition in one form for all: terms of which one has to hold, which it
// does if all of its literals hold.
type haCondition [][]literal

// always is what every request meets.
func always() haCondition { return haCondition{{}} }

// isAlways reports whether a condition has nothing to ask for.
func (c haCondition) isAlways() bool { return len(c) == 1 && len(c[0]) == 0 }

// and holds where both conditions do.
func (c haCondition) and(other haCondition) (both haCondition) {
	for _, x := range c {
		for _, y := range other {
			both = append(both, append(slices.Clone(x), y...))
		}
	}
	return both
}

// opposite holds where c does not.
func (c haCondition) opposite() (haCondition, error) {
	product := always()
	for _, term := range c {
		var part haCondition
		for _, l := range term {
			part = append(part, []literal{{l.atom, !l.not}})
		}
		if product = product.and(part); len(product) > maxTerms {
			return nil, errors.New("the condition comes to too many routes")
		}
	}
	return product, nil
}

// maxTerms is how many routes a condition may come to.
const maxTerms = 200

// condition reads "if a !b || c". Without words it is always.
func (s *haSection) condition(words []string) (c haCondition, err error) {
	if len(words) == 0 {
		return always(), nil
	}
	unless := words[0] == "unless"
	if words[0] != "if" && !unless {
		return nil, fmt.Errorf("%q can't be said", words[0])
	}
	var parts []haCondition // of a term
	add := func() error {
		product := always()
		for _, part := range parts {
			if product = product.and(part); len(product) > maxTerms {
				return errors.New("the condition comes to too many routes")
			}
		}
		c, parts = append(c, product...), nil
		return nil
	}
	not := false
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch w {
		case "||", "or", "OR":
			if err := add(); err != nil {
				return nil, err
			}
			continue
		case "!":
			not = !not
			continue
		}
		if name, ok := strings.CutPrefix(w, "!"); ok {
			not, w = !not, name
		}
		var atoms []atom
		if w == "{" {
			end := slices.Index(words[i:], "}")
			if end < 0 {
				return nil, errors.New("the brace is not closed")
			}
			a, err := parseAtom(words[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			atoms = []atom{a}
			i += end
		} else if atoms, err = s.named(w); err != nil {
			return nil, err
		}
		parts = append(parts, either(atoms, not))
		not = false
	}
	if err := add(); err != nil {
		return nil, err
	}
	if unless {
		return c.opposite()
	}
	return c, nil
}

func (s *haSection) named(name string) ([]atom, error) {
	if err := s.badACLs[name]; err != nil {
		return nil, fmt.Errorf("the ACL %s: %w", name, err)
	}
	if atoms, ok := s.acls[name]; ok {
		return atoms, nil
	}
	if atoms, ok := predefined(name); ok {
		return atoms, nil
	}
	return nil, fmt.Errorf("there is no ACL %q", name)
}

// either is the condition of an ACL, or its opposite.
func either(atoms []atom, not bool) (c haCondition) {
	var none []literal
	for _, a := range atoms {
		for _, one := range a.single() {
			c = append(c, []literal{{atom: one}})
			none = append(none, literal{one, true})
		}
	}
	if not {
		return haCondition{none}
	}
	return c
}
