package transcode

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// About what a message takes in memory while it is translated, in bytes, as measured. It
// may be hundreds of times its size on the wire, so that its size alone does not bound it.
const (
	perMessage = 600
	perValue   = 200
	perByte    = 6 // of a text: a control character is as long in JSON
)

// weighJSON is about how much memory it takes to parse JSON.
func weighJSON(text []byte) int {
	return 2*len(text) + perMessage*(bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['})) + perValue*bytes.Count(text, []byte{','})
}

// weigh is about how much memory it takes to parse a message and to write it as JSON.
func (t *transcoder) weigh(m protoreflect.MessageDescriptor, b []byte, depth int) int {
	cost := perMessage
	if t.Print.AlwaysPrintPrimitiveFields {
		cost += perValue * m.Fields().Len()
	}
	for len(b) > 0 && depth < deepest {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return cost // it will be refused
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return cost
		}
		cost += perValue
		f := m.Fields().ByNumber(number)
		switch {
		case kind != protowire.BytesType:
			cost += n
		case f != nil && f.Message() != nil:
			value, _ := protowire.ConsumeBytes(b)
			cost += t.weigh(f.Message(), value, depth+1)
		case m.FullName() == "google.protobuf.Any": // whatever is in it
			cost += perMessage / 2 * n
		case f != nil && f.IsList() && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind: // packed
			cost += perValue * n
		default:
			cost += perByte * n
		}
		b = b[n:]
	}
	return cost
}
