package route

// node is one of a radix tree: what stands here is what the way from the root,
// label after label, spells.
type node[T any] struct {
	label    string
	heads    string // the first bytes of the children's labels, in their order
	children []*node[T]
	least    int // the least index of a route here or further down
	here     T
}

// insert returns what stands at the key, which may be new. Routes come in their
// order, so that a node knows its least index from the first.
func (n *node[T]) insert(key string, index int) *T {
	for key != "" {
		next := n.child(key[0])
		if next == nil {
			next = &node[T]{label: key, least: index}
			n.heads += key[:1]
			n.children = append(n.children, next)
		}
		shared := 1
		for shared < len(key) && shared < len(next.label) && key[shared] == next.label[shared] {
			shared++
		}
		next.split(shared)
		n, key = next, key[shared:]
	}
	return &n.here
}

// split leaves a node the first bytes of its label and moves all else below.
func (n *node[T]) split(at int) {
	if at == len(n.label) {
		return
	}
	below := *n
	below.label = n.label[at:]
	*n = node[T]{label: n.label[:at], heads: n.label[at : at+1], children: []*node[T]{&below}, least: n.least}
}

// child is the one whose label begins with c, nil if there is none.
func (n *node[T]) child(c byte) *node[T] {
	for i := range len(n.heads) {
		if n.heads[i] == c {
			return n.children[i]
		}
	}
	return nil
}

// each visits what stands in the tree.
func (n *node[T]) each(visit func(*T)) {
	visit(&n.here)
	for _, c := range n.children {
		c.each(visit)
	}
}
