package metrics

import "strings"

// other stands for the values of a label beyond those that there is room for.
const other = "other"

// names is a bounded set of label values that come from others than the configuration.
type names struct {
	most  int
	known map[string]string
}

// maxName is the longest value that such a label has, in bytes.
const maxName = 256

func newNames(most int) *names { return &names{most, map[string]string{}} }

// bound returns name, or other if there is no room for it.
func (n *names) bound(name string) string {
	if name == "" {
		return ""
	}
	if known, ok := n.known[name]; ok {
		return known
	}
	if len(n.known) >= n.most || len(name) > maxName {
		return other
	}
	name = strings.Clone(name)
	n.known[name] = name
	return name
}

// retain forgets the names that are not used.
func (n *names) retain(used map[string]bool) {
	for name := range n.known {
		if !used[name] {
			delete(n.known, name)
		}
	}
}
