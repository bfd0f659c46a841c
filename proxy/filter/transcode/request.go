package transcode

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/httprule"
	"github.com/hopscope/hopscope/proxy/message"
)

// request makes the request of the exchange the call that it stands for.
func (t *transcoder) request(x *filter.Exchange, b *httprule.Binding, values []httprule.Value) error {
	r := &x.Request
	if value, ok := r.Lookup("content-encoding"); ok && !message.EqualFold(bytes.TrimSpace(value), "identity") {
		return t.refuse(http.StatusUnsupportedMediaType, codeInvalidArgument, "the content is compressed; send it without a Content-Encoding")
	}
	content, err := read(x, t.MaxMessage)
	if err != nil {
		return err
	}
	if !b.HasBody {
		content = nil
	}
	contentType, _ := r.Get(message.ContentType)
	cost := weighJSON(content)
	if !hold(x, cost) {
		return noMemory()
	}
	frames, err := t.call(b, values, string(r.Query()), content, string(contentType))
	x.Release(cost)
	if err != nil {
		return t.refuse(http.StatusBadRequest, codeInvalidArgument, err.Error())
	}
	if !hold(x, cap(frames)) {
		return noMemory()
	}
	x.Body = &whole{Body: x.Body, content: frames}
	asCall(r, b.Path, len(frames))
	return nil
}

func noMemory() error {
	return fault.New(fault.Overload, "there is no memory to translate between JSON and protobuf; see overload.max_memory")
}

// hold counts n bytes as held by the exchange. It is false where the budget has no room
// for all of them, since n may be a large part of it.
func hold(x *filter.Exchange, n int) bool {
	if !x.Hold(n) {
		return false
	}
	a := x.Conn.Info().Account
	if a == nil || a.Budget().Limit() == 0 || a.Budget().Used() <= a.Budget().Limit() {
		return true
	}
	x.Release(n)
	return false
}

// read returns all of the request's content. Trailers behind it say nothing to a call.
func read(x *filter.Exchange, most int) ([]byte, error) {
	if err := x.Buffer(most); err != nil {
		return nil, err
	}
	if content, whole := x.Body.Whole(); whole {
		return content, nil
	}
	content, err := x.Body.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return content, err
}

// asCall gives the request the head of a call of n bytes.
func asCall(r *message.Head, path string, n int) {
	for _, field := range [...]struct{ name, value string }{
		{"x-envoy-original-path", string(r.OriginTarget())}, {"x-envoy-original-method", string(r.MethodText())},
	} {
		r.RemoveName([]byte(field.name))
		r.Add(message.Unknown, field.name, field.value)
	}
	for _, name := range [...]string{"content-encoding", "grpc-encoding", "grpc-accept-encoding"} {
		r.RemoveName([]byte(name))
	}
	r.Add(message.Unknown, "grpc-accept-encoding", "identity")
	r.Remove(message.ContentLength)
	r.Remove(message.Trailer)
	r.Remove(message.Expect)
	r.Expect = false
	r.Framing, r.Length = message.ByLength, int64(n)
	r.Replace(message.ContentType, "application/grpc")
	r.Replace(message.TE, "trailers")
	r.Retarget(message.POST, path)
}

// whole is the content of a call.
type whole struct {
	filter.Body
	content []byte
	given   bool // Next has returned it
}

// Whole is all of the content.
func (b *whole) Whole() ([]byte, bool) { return b.content, true }

// Trailers are none: calls have none in their requests.
func (b *whole) Trailers() *message.Head { return nil }

// Next returns the content, and then io.EOF.
func (b *whole) Next() ([]byte, error) {
	if b.given || len(b.content) == 0 {
		return nil, io.EOF
	}
	b.given = true
	return b.content, nil
}

// call is the content of a call: its messages, each in a frame. An error is the client's
// mistake.
func (t *transcoder) call(b *httprule.Binding, values []httprule.Value, query string, content []byte, contentType string) (frames []byte, err error) {
	first := true
	add := func(body []byte) error {
		m := dynamicpb.NewMessage(b.Method.Input())
		if b.HasBody {
			if err := t.body(m, b.Body, body, contentType); err != nil {
				return fmt.Errorf("the content: %w", err)
			}
		}
		if first { // as Envoy has it, the others are in the content alone
			if err := t.parameters(m, query); err != nil {
				return err
			}
			for _, v := range values {
				if err := t.set(m, v.Field, v.Text); err != nil {
					return fmt.Errorf("the path: %w", err)
				}
			}
		}
		first = false
		at := len(frames)
		frames, err = proto.MarshalOptions{AllowPartial: true}.MarshalAppend(append(frames, 0, 0, 0, 0, 0), m)
		if err == nil {
			binary.BigEndian.PutUint32(frames[at+1:], uint32(len(frames)-at-5))
		}
		return err
	}
	if b.Method.IsStreamingClient() && b.HasBody {
		if array, err := each(content, add); err != nil || array || !first {
			return frames, err
		}
	}
	return frames, add(content)
}

// each takes apart the messages to a method that takes a stream: an array of them, or one
// after the other. It reports whether they are in an array, which may be empty.
func each(content []byte, do func([]byte) error) (array bool, err error) {
	d := json.NewDecoder(bytes.NewReader(content))
	if text := bytes.TrimLeft(content, " \t\r\n"); len(text) > 0 && text[0] == '[' {
		if array = true; !json.Valid(content) {
			return array, errors.New("the content: it is no JSON array")
		}
		_, _ = d.Token() // the bracket
	}
	var one json.RawMessage
	for d.More() {
		if err := d.Decode(&one); err != nil {
			return array, errors.New("the content: it is neither a JSON array of messages nor messages one after the other")
		}
		if err := do(one); err != nil {
			return array, err
		}
	}
	return array, nil
}

// body takes the content, which is a field or, if that is nil, the whole message.
func (t *transcoder) body(m *dynamicpb.Message, field protoreflect.FieldDescriptor, content []byte, contentType string) error {
	target := protoreflect.Message(m)
	switch {
	case field == nil:
	case field.Message() != nil && !field.IsList() && !field.IsMap():
		if len(content) == 0 {
			return nil
		}
		target = m.Mutable(field).Message()
	case len(content) == 0:
		return nil
	case !json.Valid(content):
		return errors.New("it is no JSON")
	default:
		object := append(append(append(append([]byte(`{"`), field.JSONName()...), `":`...), content...), '}')
		return t.parseJSON(object, m)
	}
	if isHTTPBody(target.Descriptor()) {
		fields := target.Descriptor().Fields()
		target.Set(fields.ByName(httpBodyType), protoreflect.ValueOfString(strings.ToValidUTF8(contentType, "\uFFFD")))
		target.Set(fields.ByName(httpBodyData), protoreflect.ValueOfBytes(content))
		return nil
	}
	if len(content) == 0 {
		return nil
	}
	return t.parseJSON(content, target)
}

// plain is an error of the library in words that stay the same from build to build.
func plain(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return errors.New(strings.TrimPrefix(text, "proto: "))
}

// parameters takes the query.
func (t *transcoder) parameters(m *dynamicpb.Message, query string) error {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		switch {
		case err != nil:
			return fmt.Errorf("the query: %q is not encoded as it must be", clip(pair))
		case name == "" || slices.Contains(t.IgnoredQueryParameters, name):
			continue
		}
		path, err := httprule.FieldPath(m.Descriptor(), name)
		switch {
		case err != nil && t.IgnoreUnknownQueryParameters:
			continue
		case err == nil && len(path) > deepest:
			err = errors.New("it is nested too deep")
		}
		if err == nil {
			err = t.set(m, path, value)
		}
		if err != nil {
			return fmt.Errorf("the query parameter %q: %w", clip(name), err)
		}
	}
	return nil
}

// clip keeps what a client sent to a length that is fit for a message.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}
