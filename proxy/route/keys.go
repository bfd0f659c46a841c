package route

// keys are where a match stands in a tree of paths: the whole paths, and beginnings of
// paths, that lead to it.
type keys struct {
	exact, prefix string
	// isExact and isPrefix say which of them there are.
	isExact, isPrefix bool
}

// keys picks the keys that tell the match best from others.
func (m *Match) keys() keys {
	switch {
	case m.Path != "":
		return keys{exact: m.Path, isExact: true}
	case m.GRPC != nil && m.GRPC.Service != "" && m.GRPC.Method != "":
		return keys{exact: m.GRPC.path(), isExact: true}
	case m.PathSegments != "":
		return keys{exact: m.PathSegments, isExact: true, prefix: m.PathSegments + "/", isPrefix: true}
	}
	prefix := m.PathPrefix
	longer := func(other string) {
		if len(other) > len(prefix) {
			prefix = other
		}
	}
	if m.PathRegex != nil {
		longer(m.PathRegex.prefix)
	}
	if m.PathTemplate != nil {
		longer(m.PathTemplate.Prefix())
	}
	if m.GRPC != nil && m.GRPC.Service != "" {
		longer(m.GRPC.path())
	}
	return keys{prefix: prefix, isPrefix: true}
}

// path is the path of a call, or how it begins.
func (c *Call) path() string { return "/" + c.Service + "/" + c.Method }

// conditions are what is left to ask of a request that the keys lead to: what is cheap
// first.
func (k keys) conditions(m *Match) []condition {
	rest := *m
	rest.Hosts, rest.Methods, rest.Not = nil, nil, nil
	if m.Path != "" {
		rest.Path, rest.PathPrefix = "", "" // see Compile
	}
	if !k.isExact && m.PathPrefix == k.prefix {
		rest.PathPrefix = ""
	}
	if m.Path == "" && k.isPrefix && k.isExact {
		rest.PathSegments = ""
	}
	all := rest.asConditions()
	if m.Not != nil {
		for _, c := range m.Not.asConditions() {
			c.inverted = true
			all = append(all, c)
		}
	}
	return all
}
