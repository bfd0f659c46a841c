package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // so that details of failures are known
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// types are those of the descriptor set and, where it lacks some, those that failures
// usually have in their details.
type types struct{ own *dynamicpb.Types }

func (t types) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if m, err := t.own.FindMessageByName(name); err == nil {
		return m, nil
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

func (t types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	return t.FindMessageByName(protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:]))
}

func (t types) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return t.own.FindExtensionByName(name)
}

func (t types) FindExtensionByNumber(m protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return t.own.FindExtensionByNumber(m, n)
}

// The fields of google.api.HttpBody, whose content passes as it is.
const (
	httpBodyType = "content_type"
	httpBodyData = "data"
)

// isHTTPBody tells google.api.HttpBody.
func isHTTPBody(m protoreflect.MessageDescriptor) bool {
	if m == nil || m.FullName() != "google.api.HttpBody" {
		return false
	}
	contentType, data := m.Fields().ByName(httpBodyType), m.Fields().ByName(httpBodyData)
	return contentType != nil && contentType.Kind() == protoreflect.StringKind && !contentType.IsList() &&
		data != nil && data.Kind() == protoreflect.BytesKind && !data.IsList()
}

// json appends a message, or one field of it, as JSON.
func (t *transcoder) json(dst []byte, m protoreflect.Message, field protoreflect.FieldDescriptor, oneLine bool) ([]byte, error) {
	var text []byte
	var err error
	switch {
	case field == nil:
		text, err = t.print.Marshal(m.Interface())
	case field.Message() != nil && !field.IsList() && !field.IsMap():
		text, err = t.print.Marshal(m.Get(field).Message().Interface())
	default:
		text, err = t.alone(m, field)
	}
	if err != nil {
		return dst, err
	}
	return t.append(dst, text, oneLine), nil
}

// alone is a field that is no message as JSON.
func (t *transcoder) alone(m protoreflect.Message, field protoreflect.FieldDescriptor) ([]byte, error) {
	only, print := m.New(), t.print
	if m.Has(field) {
		only.Set(field, m.Get(field))
	} else {
		print.EmitUnpopulated = true
	}
	text, err := print.Marshal(only.Interface())
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	name := field.JSONName()
	if print.UseProtoNames {
		name = field.TextName()
	}
	if value, ok := fields[name]; ok {
		return value, nil
	}
	return nil, errors.New("the field " + name + " is not in the message")
}

// append appends JSON without the spaces that the library puts in by chance.
func (t *transcoder) append(dst, text []byte, oneLine bool) []byte {
	b := bytes.NewBuffer(dst)
	var err error
	if t.Print.AddWhitespace && !oneLine {
		if err = json.Indent(b, text, "", " "); err == nil {
			b.WriteByte('\n')
		}
	} else {
		err = json.Compact(b, text)
	}
	if err != nil { // not reached: the library has written it
		return append(dst, text...)
	}
	return b.Bytes()
}

// statusJSON appends google.rpc.Status as JSON. details is the value of
// grpc-status-details-bin, which may be empty. Of its details those are left out whose type
// is not known.
func (t *transcoder) statusJSON(dst []byte, code int, text string, details []byte) []byte {
	s := &spb.Status{Code: int32(code), Message: strings.ToValidUTF8(text, "\uFFFD")}
	if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(details), "=")); err == nil && len(b) > 0 && len(b) <= t.MaxMessage {
		var full spb.Status
		if proto.Unmarshal(b, &full) == nil && full.Code == s.Code {
			s.Details = full.Details
		}
	}
	var known []*anypb.Any
	for _, d := range s.Details {
		if _, err := t.print.Marshal(d); err == nil {
			known = append(known, d)
		}
	}
	s.Details = known
	text0, err := t.print.Marshal(s)
	if err != nil { // not reached: each part can be written
		text0 = []byte("{}")
	}
	return t.append(dst, text0, true)
}
