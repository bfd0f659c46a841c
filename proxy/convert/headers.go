package convert

import (
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// changed are changes of fields with one more behind them: "set", "add" or "remove". It
// fails if hopscope's order, remove, set and then add, would come to something else.
func changed(before *config.HeaderChanges, kind, name, value string) (*config.HeaderChanges, error) {
	name = strings.ToLower(name)
	h := &config.HeaderChanges{Set: map[string]string{}, Add: map[string]string{}}
	if before != nil {
		h.Remove = slices.Clone(before.Remove)
		for k, v := range before.Set {
			h.Set[k] = v
		}
		for k, v := range before.Add {
			h.Add[k] = v
		}
	}
	switch kind {
	case "remove":
		delete(h.Set, name)
		delete(h.Add, name)
		if !slices.Contains(h.Remove, name) {
			h.Remove = append(h.Remove, name)
		}
	case "set":
		delete(h.Add, name)
		h.Remove = slices.DeleteFunc(h.Remove, func(n string) bool { return n == name })
		h.Set[name] = value
	case "add":
		if _, twice := h.Add[name]; twice {
			return nil, errorf("%s is added twice: write both values in one, or set one of them", name)
		}
		h.Add[name] = value
	}
	return h, nil
}
