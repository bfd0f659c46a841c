package route

// byValue are choices of one path that ask for an exact value of the same field, parameter
// or cookie, by that value: thousands of them cost what one does.
type byValue struct {
	value  *value
	routes map[string][]choice
}

// found is a byValue in a table: the first candidate, and one, for each value.
type found struct {
	value *value
	at    map[string]uint32
}

// manyChoices is from how many choices of one path on they are found by value.
const manyChoices = 8

// key names what a value is of.
type key struct {
	on   subject
	name string
}

// index moves the choices that ask for exact values to where they are found by them.
func (cs *choices) index() {
	if len(cs.list) < manyChoices {
		return
	}
	different := map[key]map[string]bool{}
	for i := range cs.list {
		cs.list[i].exacts(func(k key, v *value) {
			if different[k] == nil {
				different[k] = map[string]bool{}
			}
			different[k][v.text] = true
		})
	}
	var rest []choice
	found := map[key]int{} // the place in cs.by
	for _, c := range cs.list {
		var best *value
		var by key
		c.exacts(func(k key, v *value) {
			if best == nil || len(different[k]) > len(different[by]) {
				best, by = v, k
			}
		})
		if best == nil || len(different[by]) < 2 {
			rest = append(rest, c)
			continue
		}
		at, ok := found[by]
		if !ok {
			at = len(cs.by)
			found[by] = at
			cs.by = append(cs.by, byValue{value: best, routes: map[string][]choice{}})
		}
		cs.by[at].routes[best.text] = append(cs.by[at].routes[best.text], c)
	}
	cs.list = rest
}

// exacts visits the conditions that only one value meets.
func (c *choice) exacts(visit func(key, *value)) {
	for i := range c.conditions {
		if d := &c.conditions[i]; d.value != nil && !d.inverted && d.value.exact() {
			visit(key{d.on, d.value.name}, d.value)
		}
	}
}
