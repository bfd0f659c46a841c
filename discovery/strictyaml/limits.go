package strictyaml

import (
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// checkTokens bounds what the parser recurses over, and the keys of each mapping.
func checkTokens(tokens token.Tokens, o Options) error {
	flow := []int{}        // the keys of each open flow mapping or list
	block := map[int]int{} // the keys of each open block mapping, by its column
	line, opened := 0, 0   // how many things begin in the present line
	all := 0               // keys
	var before *token.Token
	for _, t := range tokens {
		if t.Position.Line != line {
			line, opened = t.Position.Line, 0
		}
		keys := 0
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow = append(flow, 0)
		case token.MappingEndType, token.SequenceEndType:
			flow = flow[:max(0, len(flow)-1)]
		case token.SequenceEntryType:
			opened++
			for column := range block { // what is deeper begins anew
				if column > t.Position.Column {
					delete(block, column)
				}
			}
		case token.TagType, token.AnchorType:
			opened++
		case token.MappingKeyType:
			opened++
			all++
		case token.MappingValueType:
			all++
			if len(flow) > 0 {
				flow[len(flow)-1]++
				keys = flow[len(flow)-1]
			} else if before != nil {
				block[before.Position.Column]++
				keys = block[before.Position.Column]
			}
		}
		if len(flow) > o.Nesting || opened > o.Nesting || len(block) > 4*o.Nesting {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("nested deeper than %d levels", o.Nesting)}
		}
		if o.Keys > 0 && all > o.Keys {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("the file has more than %d keys", o.Keys)}
		}
		if o.MappingKeys > 0 && keys > o.MappingKeys {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("a mapping has more than %d keys", o.MappingKeys)}
		}
		before = t
	}
	return nil
}
