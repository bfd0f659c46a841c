package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// parseJSON parses JSON as a message. Fields that the message has not are ignored. So are,
// by the library, texts that name no value of an enum, which would be another value then:
// they are refused here.
func (t *transcoder) parseJSON(content []byte, m protoreflect.Message) error {
	all := t.parse
	all.DiscardUnknown = false
	if all.Unmarshal(content, m.Interface()) == nil {
		return nil // as it mostly is
	}
	if err := t.parse.Unmarshal(content, m.Interface()); err != nil {
		return plain(err)
	}
	return names{json.NewDecoder(bytes.NewReader(content))}.value(nil, m.Descriptor())
}

// names looks for texts that name no value of an enum, in JSON that was parsed.
type names struct{ *json.Decoder }

// value reads a value of an enum or of a message, or a list of them. Both are nil for any
// other.
func (n names) value(enum protoreflect.EnumDescriptor, m protoreflect.MessageDescriptor) error {
	if enum == nil && (m == nil || isOwnForm(m)) {
		return n.skip()
	}
	token, err := n.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		if enum != nil && enum.Values().ByName(protoreflect.Name(token)) == nil {
			return fmt.Errorf("%q is no value of %s", clip(token), enum.FullName())
		}
	case json.Delim:
		for n.More() {
			if token == '{' {
				err = n.member(m)
			} else {
				err = n.value(enum, m)
			}
			if err != nil {
				return err
			}
		}
		_, err = n.Token() // its end
	}
	return err
}

// member reads a field of a message, or what is in a map.
func (n names) member(m protoreflect.MessageDescriptor) error {
	token, err := n.Token()
	if err != nil {
		return err
	}
	name, ok := token.(string)
	if !ok || m == nil {
		return errors.New("it is no message")
	}
	f := m.Fields().ByNumber(2) // the value, in a map
	if !m.IsMapEntry() {
		if f = m.Fields().ByJSONName(name); f == nil {
			f = m.Fields().ByTextName(name)
		}
	}
	if f == nil {
		return n.skip()
	}
	return n.value(f.Enum(), f.Message())
}

// skip reads a value, however deep it is.
func (n names) skip() error {
	for depth := 0; ; {
		token, err := n.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// isOwnForm tells the well-known messages, whose JSON is not that of their fields.
func isOwnForm(m protoreflect.MessageDescriptor) bool {
	return m.ParentFile().Package() == "google.protobuf"
}
