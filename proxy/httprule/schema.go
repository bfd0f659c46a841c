package httprule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// MaxSet is the most bytes of a descriptor set.
const MaxSet = 16 << 20

// Options say which methods of a descriptor set are bound.
type Options struct {
	// Services are the full names of services; none stands for all that the set has.
	Services []string
	// AutoMapping also binds methods that have no google.api.http option: POST of
	// /package.Service/Method, with all of the content as the request.
	AutoMapping bool
}

// Schema is the methods of a descriptor set with their bindings. It is immutable.
type Schema struct {
	// Types are the messages and extensions of the set, for google.protobuf.Any.
	Types *dynamicpb.Types

	table    table
	bindings int
}

// Binding says which requests stand for a method, and how. It is immutable.
type Binding struct {
	Method protoreflect.MethodDescriptor
	// Path is the method's in gRPC: "/package.Service/Method".
	Path string
	// HTTPMethod is the method of the requests, "*" for any, and Template the template of
	// their paths as it is written.
	HTTPMethod, Template string
	// HasBody says that content of the requests is the field Body of the method's request,
	// or all of it if Body is nil.
	HasBody bool
	Body    protoreflect.FieldDescriptor
	// ResponseBody is the field of the method's response that is sent to the client; nil
	// stands for all of it.
	ResponseBody protoreflect.FieldDescriptor

	template *template
	fields   [][]protoreflect.FieldDescriptor // of the template's variables
}

// Value is a field of a request that is in the path.
type Value struct {
	Field []protoreflect.FieldDescriptor // the last is the field, the others lead to it
	Text  string
}

// Load compiles a FileDescriptorSet, as protoc --include_imports --descriptor_set_out
// writes it. The error has a line for each mistake.
func Load(set []byte, o Options) (*Schema, error) {
	var files descriptorpb.FileDescriptorSet
	if err := (proto.UnmarshalOptions{RecursionLimit: 100}).Unmarshal(set, &files); err != nil {
		return nil, errors.New("it is no protobuf descriptor set; protoc --include_imports --descriptor_set_out=FILE writes one")
	}
	if len(files.File) == 0 {
		return nil, errors.New("it has no descriptors; protoc --include_imports --descriptor_set_out=FILE writes them")
	}
	registry, err := protodesc.NewFiles(&files)
	if err != nil {
		return nil, fmt.Errorf("its descriptors can not be used: %w; write it with protoc --include_imports", err)
	}
	services, err := chosen(registry, o.Services)
	if err != nil {
		return nil, err
	}
	s := &Schema{Types: dynamicpb.NewTypes(registry)}
	var mistakes []error
	for _, service := range services {
		methods := service.Methods()
		for i := range methods.Len() {
			if err := s.method(methods.Get(i), o.AutoMapping); err != nil {
				mistakes = append(mistakes, err)
			}
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	if s.bindings == 0 {
		return nil, errors.New("no method has the option google.api.http; see auto_mapping for those without")
	}
	return s, nil
}

// chosen are the services of these names, or all, in the order of their names.
func chosen(registry *protoregistry.Files, names []string) (all []protoreflect.ServiceDescriptor, err error) {
	registry.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			if s := f.Services().Get(i); len(names) == 0 || slices.Contains(names, string(s.FullName())) {
				all = append(all, s)
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.ServiceDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	var missing []error
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s protoreflect.ServiceDescriptor) bool { return string(s.FullName()) == name }) {
			missing = append(missing, fmt.Errorf("it has no service %q", name))
		}
	}
	return all, errors.Join(missing...)
}

// method adds the bindings of a method.
func (s *Schema) method(m protoreflect.MethodDescriptor, autoMapping bool) error {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		if !autoMapping {
			return nil
		}
		path := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
		rule = &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}
	}
	mistakes := []error{s.bind(m, rule)}
	for _, more := range rule.AdditionalBindings {
		if len(more.AdditionalBindings) > 0 {
			mistakes = append(mistakes, fmt.Errorf("%s: additional_bindings within additional_bindings", m.FullName()))
			continue
		}
		mistakes = append(mistakes, s.bind(m, more))
	}
	return errors.Join(mistakes...)
}

// bind adds one binding.
func (s *Schema) bind(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) error {
	b := &Binding{Method: m, Path: "/" + string(m.Parent().FullName()) + "/" + string(m.Name())}
	b.HTTPMethod, b.Template = pattern(rule)
	err := b.compile(rule)
	if err == nil {
		err = s.table.add(b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.FullName(), err)
	}
	s.bindings++
	return nil
}

// pattern is the HTTP method and the template of a rule.
func pattern(rule *annotations.HttpRule) (method, template string) {
	switch p := rule.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}

// compile makes the binding what the rule says.
func (b *Binding) compile(rule *annotations.HttpRule) (err error) {
	if b.HTTPMethod == "" {
		return errors.New("the option google.api.http has no pattern; expected get, put, post, delete, patch or custom with a kind")
	}
	if b.template, err = parseTemplate(b.Template); err != nil {
		return fmt.Errorf("the template %q: %w", b.Template, err)
	}
	in, out := b.Method.Input(), b.Method.Output()
	for _, v := range b.template.variables {
		path, err := FieldPath(in, v.field)
		if err != nil {
			return fmt.Errorf("the template %q: %w", b.Template, err)
		}
		if last := path[len(path)-1]; last.IsList() || !IsText(last) {
			return fmt.Errorf("the template %q: the field %q is no single value that a path can have", b.Template, v.field)
		}
		b.fields = append(b.fields, path)
	}
	switch rule.Body {
	case "":
	case "*":
		b.HasBody = true
	default:
		if b.HasBody, b.Body = true, in.Fields().ByName(protoreflect.Name(rule.Body)); b.Body == nil {
			return fmt.Errorf("body: %s has no field %q", in.FullName(), rule.Body)
		}
	}
	if rule.ResponseBody != "" {
		if b.ResponseBody = out.Fields().ByName(protoreflect.Name(rule.ResponseBody)); b.ResponseBody == nil {
			return fmt.Errorf("response_body: %s has no field %q", out.FullName(), rule.ResponseBody)
		}
	}
	return nil
}

// Match finds the binding of a request by its method and the path of its URL, and the
// fields whose values are in the path; nil if there is none.
func (s *Schema) Match(method, path string) (*Binding, []Value) {
	if path == "" || path[0] != '/' {
		return nil, nil
	}
	segments := strings.Split(path[1:], "/")
	b := s.table.match(method, segments)
	if b == nil {
		return nil, nil
	}
	values := make([]Value, len(b.fields))
	for i, v := range b.template.variables {
		to := v.to
		several := to-v.from > 1
		if b.template.segments[to-1] == anySegments {
			to, several = len(segments), true
		}
		values[i] = Value{b.fields[i], unescape(strings.Join(segments[v.from:to], "/"), several)}
	}
	return b, values
}

// FieldPath finds a field of a message by the names that lead to it, "shelf.id": those of
// the descriptor, or of JSON.
func FieldPath(m protoreflect.MessageDescriptor, path string) (fields []protoreflect.FieldDescriptor, err error) {
	for name := range strings.SplitSeq(path, ".") {
		if m == nil {
			return nil, fmt.Errorf("%q has no field %q: it is no message, or a list of them", fields[len(fields)-1].Name(), name)
		}
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			f = m.Fields().ByJSONName(name)
		}
		if f == nil {
			return nil, fmt.Errorf("%s has no field %q", m.FullName(), name)
		}
		fields, m = append(fields, f), nil
		if f.Message() != nil && !f.IsMap() && !f.IsList() {
			m = f.Message()
		}
	}
	return fields, nil
}

// IsText reports whether a text can stand for a value of the field: a scalar, an enum, or
// one of the well-known messages that JSON writes as such.
func IsText(f protoreflect.FieldDescriptor) bool {
	if f.IsMap() {
		return false
	}
	m := f.Message()
	return m == nil || IsWrapper(m) || IsQuoted(m)
}

// IsQuoted tells the well-known messages that JSON writes as a string.
func IsQuoted(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask":
		return true
	}
	return false
}

// IsWrapper tells the well-known messages that are a scalar in a field "value".
func IsWrapper(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.BoolValue", "google.protobuf.BytesValue", "google.protobuf.StringValue",
		"google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int32Value",
		"google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value":
		return m.Fields().ByName("value") != nil
	}
	return false
}
