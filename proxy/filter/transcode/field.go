package transcode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hopscope/hopscope/proxy/httprule"
)

// set sets the field at the end of a path to what a text stands for, or appends that to a
// list.
func (t *transcoder) set(m protoreflect.Message, path []protoreflect.FieldDescriptor, text string) error {
	last := len(path) - 1
	for _, f := range path[:last] {
		m = m.Mutable(f).Message()
	}
	f := path[last]
	if !httprule.IsText(f) {
		return errors.New("it is a message or a map, which can be given in the content only")
	}
	if f.IsList() {
		list := m.Mutable(f).List()
		if f.Message() != nil {
			return t.setMessage(list.AppendMutable().Message(), text)
		}
		v, err := scalar(f, text)
		if err == nil {
			list.Append(v)
		}
		return err
	}
	if f.Message() != nil {
		return t.setMessage(m.Mutable(f).Message(), text)
	}
	v, err := scalar(f, text)
	if err == nil {
		m.Set(f, v)
	}
	return err
}

// setMessage sets a well-known message that a text stands for.
func (t *transcoder) setMessage(m protoreflect.Message, text string) error {
	if httprule.IsWrapper(m.Descriptor()) {
		f := m.Descriptor().Fields().ByName("value")
		v, err := scalar(f, text)
		if err == nil {
			m.Set(f, v)
		}
		return err
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return err
	}
	if err := t.parse.Unmarshal(quoted, m.Interface()); err != nil {
		return fmt.Errorf("%q is no %s", clip(text), m.Descriptor().FullName())
	}
	return nil
}

// scalar is the value of a field that is no message.
func scalar(f protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		var b bool
		b, err = strconv.ParseBool(text)
		v = protoreflect.ValueOfBool(b)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(text, 10, 32)
		v = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		v = protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		v = protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 64)
		v = protoreflect.ValueOfUint64(n)
	case protoreflect.FloatKind:
		var n float64
		n, err = strconv.ParseFloat(text, 32)
		v = protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		var n float64
		n, err = strconv.ParseFloat(text, 64)
		v = protoreflect.ValueOfFloat64(n)
	case protoreflect.EnumKind:
		return enum(f.Enum(), text)
	case protoreflect.BytesKind:
		return decoded(text)
	default:
		if !utf8.ValidString(text) {
			return v, errors.New("it is no valid UTF-8")
		}
		return protoreflect.ValueOfString(text), nil
	}
	if err != nil {
		return v, fmt.Errorf("%q is no %s", clip(text), f.Kind())
	}
	return v, nil
}

// enum is the value of an enum by its name or its number.
func enum(e protoreflect.EnumDescriptor, text string) (protoreflect.Value, error) {
	if v := e.Values().ByName(protoreflect.Name(text)); v != nil {
		return protoreflect.ValueOfEnum(v.Number()), nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < math.MinInt32 {
		return protoreflect.Value{}, fmt.Errorf("%q is no value of %s", clip(text), e.FullName())
	}
	return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
}

// decoded is bytes of base64, in either alphabet, with padding or without.
func decoded(text string) (protoreflect.Value, error) {
	text = strings.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	b, err := encoding.DecodeString(text)
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("%q is no base64", clip(text))
	}
	return protoreflect.ValueOfBytes(b), nil
}
