package strictyaml

import (
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// joinFlowScalars puts together again what the YAML parser's lexer takes apart
// inside a flow mapping: there it reads [127.0.0.1:3000] as a list of a mapping
// {127.0.0.1: 3000}. In YAML 1.2 (section 7.3.3) a colon within a plain scalar
// ends a key only when a space or a flow indicator follows.
func joinFlowScalars(tokens token.Tokens) token.Tokens {
	joined := make(token.Tokens, 0, len(tokens))
	mappings := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType:
			mappings++
		case token.MappingEndType:
			mappings--
		}
		n := len(joined)
		if mappings > 0 && n >= 2 && isPlain(t) && joined[n-1].Type == token.MappingValueType && isPlain(joined[n-2]) &&
			touch(joined[n-2], joined[n-1]) && touch(joined[n-1], t) {
			key := joined[n-2]
			t = token.New(key.Value+":"+t.Value, key.Origin+":"+t.Origin, key.Position)
			joined = joined[:n-2]
		}
		joined = append(joined, t)
	}
	linked := make(token.Tokens, 0, len(joined))
	linked.Add(joined...)
	return linked
}

// touch tells whether b begins where a, in the same line, ends.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line &&
		a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}

// isPlain tells a scalar without quotes.
func isPlain(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.BoolType, token.NullType, token.InfinityType, token.NanType, token.IntegerType,
		token.FloatType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}
