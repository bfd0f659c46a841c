package filter

// Reuse returns a zero T for the time until the exchange ends. The exchange keeps it for
// later requests, so that what a filter puts in front of the Writer costs no memory. It is
// for the goroutine of the exchange, and T is best a filter's own type.
func Reuse[T any](x *Exchange) *T {
	for i := range x.kept {
		if k := &x.kept[i]; !k.used {
			if v, ok := k.value.(*T); ok {
				k.used = true
				return v
			}
		}
	}
	v := new(T)
	x.kept = append(x.kept, kept{value: v, clear: func() { *v = *new(T) }, used: true})
	return v
}

// kept is a value that the exchange keeps.
type kept struct {
	value any
	clear func() // makes it zero, so that it keeps nothing else alive
	used  bool   // by the request that is being served
}

// reclaim takes back what Reuse has returned.
func (x *Exchange) reclaim() {
	for i := range x.kept {
		if k := &x.kept[i]; k.used {
			k.clear()
			k.used = false
		}
	}
}
