package route

import (
	"encoding/binary"
	"strings"
)

// packed is a node of a tree in the form in which requests are matched. All nodes of a table
// are in one slice and all their labels in one text, so that a table of ten thousand routes
// stays in a processor's cache: to match is to wait for memory, most of all.
type packed struct {
	label, size uint32 // where the label is in the text; the first bytes of the children's labels follow it
	heads       uint32 // how many children there are
	children    uint32 // the index of the first; they are in a row
	least       uint32 // the least index of a route here or further down
	// below is what all keys lead to that go on, here what this one does: in a tree of
	// hosts the root of a tree of paths, in that the first of some candidates. It is the
	// index and one; 0 is nothing.
	below, here uint32
}

// candidate is a route that a path leads to, or those of a byValue.
type candidate struct {
	index      uint32 // of the route, or of the byValue
	conditions uint32 // the first of them, in the table's list
	count      uint32 // how many
	methods    uint32 // the index of the methods; 0 is all
	preflights bool   // they match by the method that they ask for
	byValue    bool
	last       bool // of the candidates of this path
}

// packer makes a table of trees.
type packer struct {
	*Table
	texts   map[string]uint32
	regexes map[string]*Regex
	// What is the same in several routes is in the table once.
	values     map[value]*value
	conditions map[condition]uint32
	lists      map[string]uint32
	methods    map[string]uint32
}

func newPacker(t *Table) *packer {
	t.methods = [][]string{nil}
	return &packer{
		Table: t, texts: map[string]uint32{}, regexes: map[string]*Regex{}, values: map[value]*value{},
		conditions: map[condition]uint32{}, lists: map[string]uint32{}, methods: map[string]uint32{},
	}
}

// settle puts the values that conditions compare in one row, with their texts: a match
// reads them one after the other.
func (p *packer) settle() {
	size := 0
	for v := range p.values {
		size += len(v.name) + len(v.text)
	}
	var texts strings.Builder
	texts.Grow(size) // so that it stays where it is
	place := func(text string) string {
		from := texts.Len()
		texts.WriteString(text)
		return texts.String()[from:]
	}
	row := make([]value, 0, len(p.values))
	moved := map[*value]*value{}
	move := func(at **value) {
		if *at == nil {
			return
		}
		to, ok := moved[*at]
		if !ok {
			v := **at
			v.name, v.text = place(v.name), place(v.text)
			row = append(row, v)
			to = &row[len(row)-1]
			moved[*at] = to
		}
		*at = to
	}
	for i := range p.Table.conditions {
		move(&p.Table.conditions[i].value)
	}
	for i := range p.found {
		move(&p.found[i].value)
	}
}

// hostTree packs a tree of hosts, and returns its root.
func (p *packer) hostTree(t *hosts) uint32 {
	return pack(p, &t.node, func(h *hostPaths) (below, here uint32) { return p.pathTree(h.below), p.pathTree(h.exact) })
}

// pathTree packs a tree of paths, and returns its root and one, 0 for none.
func (p *packer) pathTree(t *paths) uint32 {
	if t == nil {
		return 0
	}
	return 1 + pack(p, &t.node, func(r *pathRoutes) (below, here uint32) { return p.choices(&r.prefix), p.choices(&r.exact) })
}

// pack packs a tree, and returns its root; stands packs what stands at a node.
func pack[T any](p *packer, root *node[T], stands func(*T) (below, here uint32)) uint32 {
	at := uint32(len(p.nodes))
	p.nodes = append(p.nodes, packed{})
	packNode(p, root, at, stands)
	return at
}

func packNode[T any](p *packer, n *node[T], at uint32, stands func(*T) (below, here uint32)) {
	c := packed{
		label: p.place(n.label + n.heads), size: uint32(len(n.label)),
		heads: uint32(len(n.heads)), children: uint32(len(p.nodes)), least: uint32(n.least),
	}
	p.nodes = append(p.nodes, make([]packed, len(n.children))...)
	c.below, c.here = stands(&n.here)
	p.nodes[at] = c
	for i, child := range n.children {
		packNode(p, child, c.children+uint32(i), stands)
	}
}

// place is where a text is in that of the table.
func (p *packer) place(text string) uint32 {
	at, ok := p.texts[text]
	if !ok {
		at = uint32(len(p.text))
		p.text = append(p.text, text...)
		p.texts[text] = at
	}
	return at
}

// choices packs the choices of a path, and returns the first and one, 0 for none.
func (p *packer) choices(cs *choices) uint32 {
	all := make([]candidate, 0, len(cs.by)+len(cs.list))
	for i := range cs.by {
		all = append(all, candidate{byValue: true, index: p.byValue(&cs.by[i])})
	}
	for i := range cs.list {
		all = append(all, p.candidate(&cs.list[i]))
	}
	return p.row(all)
}

// row adds candidates of one path to the table.
func (p *packer) row(all []candidate) uint32 {
	if len(all) == 0 {
		return 0
	}
	all[len(all)-1].last = true
	p.candidates = append(p.candidates, all...)
	return uint32(len(p.candidates)-len(all)) + 1
}

func (p *packer) byValue(by *byValue) uint32 {
	found := found{value: p.value(by.value), at: make(map[string]uint32, len(by.routes))}
	for text, list := range by.routes {
		all := make([]candidate, len(list))
		for i := range list {
			all[i] = p.candidate(&list[i])
		}
		found.at[strings.Clone(text)] = p.row(all)
	}
	p.found = append(p.found, found)
	return uint32(len(p.found) - 1)
}

func (p *packer) candidate(c *choice) candidate {
	var list []byte
	for i := range c.conditions {
		list = binary.LittleEndian.AppendUint32(list, p.condition(c.conditions[i]))
	}
	from, ok := p.lists[string(list)]
	if !ok {
		from = uint32(len(p.asked))
		for i := range c.conditions {
			p.asked = append(p.asked, binary.LittleEndian.Uint32(list[4*i:]))
		}
		p.lists[string(list)] = from
	}
	return candidate{
		index: uint32(c.index), conditions: from, count: uint32(len(c.conditions)),
		methods: p.methodSet(c.methods), preflights: c.preflights,
	}
}

func (p *packer) methodSet(methods []string) uint32 {
	if len(methods) == 0 {
		return 0
	}
	key := strings.Join(methods, " ")
	at, ok := p.methods[key]
	if !ok {
		at = uint32(len(p.Table.methods))
		p.Table.methods = append(p.Table.methods, methods)
		p.methods[key] = at
	}
	return at
}

// condition is the index of a condition in the table's.
func (p *packer) condition(c condition) uint32 {
	c.regex = p.regex(c.regex)
	c.value = p.value(c.value)
	at, ok := p.conditions[c]
	if !ok {
		at = uint32(len(p.Table.conditions))
		p.Table.conditions = append(p.Table.conditions, c)
		p.conditions[c] = at
	}
	return at
}

func (p *packer) value(v *value) *value {
	if v == nil {
		return nil
	}
	of := *v
	of.regex = p.regex(of.regex)
	same, ok := p.values[of]
	if !ok {
		same = &of
		p.values[of] = same
	}
	return same
}

func (p *packer) regex(r *Regex) *Regex {
	if r == nil {
		return nil
	}
	same, ok := p.regexes[r.whole.String()]
	if !ok {
		same = r
		p.regexes[r.whole.String()] = r
	}
	return same
}
