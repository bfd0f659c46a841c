package strictyaml

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Position is where a value begins, counted from 1: in a block mapping, at its first key.
// Where that is not known it is 1, 1.
func Position(n ast.Node) (line, column int) {
	switch v := n.(type) {
	case nil:
		return 1, 1
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return Position(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return Position(v.Key)
	case *ast.MappingKeyNode:
		return Position(v.Value)
	}
	return positionOf(n.GetToken())
}

func positionOf(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return max(1, t.Position.Line), max(1, t.Position.Column)
}
