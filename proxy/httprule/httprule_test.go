package httprule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// method is a method with its rules, the first of which has the others as additional
// bindings.
func method(name string, rules ...*annotations.HttpRule) *descriptorpb.MethodDescriptorProto {
	m := &descriptorpb.MethodDescriptorProto{Name: &name, InputType: proto.String(".shop.Item"), OutputType: proto.String(".shop.Item"), Options: &descriptorpb.MethodOptions{}}
	if len(rules) > 0 {
		rules[0].AdditionalBindings = rules[1:]
		proto.SetExtension(m.Options, annotations.E_Http, rules[0])
	}
	return m
}

func get(path string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}}
}

func post(path, body string) *annotations.HttpRule {
	return &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: body}
}

// set is a descriptor set of service shop.Shop.
func set(t testing.TB, methods ...*descriptorpb.MethodDescriptorProto) []byte {
	t.Helper()
	field := func(n int32, name string, kind descriptorpb.FieldDescriptorProto_Type, of string, repeated bool) *descriptorpb.FieldDescriptorProto {
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		if repeated {
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		}
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &n, Type: &kind, Label: &label}
		if of != "" {
			f.TypeName = &of
		}
		return f
	}
	const str, msg = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	shop := &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Item"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field(1, "id", str, "", false), field(2, "tags", str, "", true), field(3, "parent_item", msg, ".shop.Item", false),
				field(4, "parts", msg, ".shop.Item", true), field(5, "at", msg, ".google.protobuf.Timestamp", false),
				field(6, "size", msg, ".google.protobuf.Int32Value", false),
			},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: methods}},
	}
	b, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto),
		protodesc.ToFileDescriptorProto(wrapperspb.File_google_protobuf_wrappers_proto), shop,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMatch: which method a request stands for, and what its path says.
func TestMatch(t *testing.T) {
	s, err := Load(set(t,
		method("List", get("/v1/items")),
		method("Get", get("/v1/items/{id}"), get("/v1/{parent_item.id=shelves/*/items/*}"), get("/v2/{id=**}")),
		method("Fixed", get("/v1/items/best")),
		method("Move", post("/v1/items/{id}:move", "*"), post("/v1/items:moveAll", "")),
		method("Any", &annotations.HttpRule{Pattern: &annotations.HttpRule_Custom{Custom: &annotations.CustomHttpPattern{Kind: "*", Path: "/any/*/{id=x/**}:do"}}}),
		method("Part", get("/p/{parentItem.id}/of/{id}/{at}/{size}")),
		method("Root", get("/")),
		method("Escaped", get("/a%20b/{id}")),
		method("Bare"),
	), Options{AutoMapping: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/v1/items", "List"},
		{"GET", "/v1/items/", ""},
		{"POST", "/v1/items", ""},
		{"GET", "/v1/items/7", "Get id=7"},
		{"GET", "/v1/%69tems/7", "Get id=7"},
		{"GET", "/v1/items/a%2Fb%20c%zz%4", "Get id=a/b c%zz%4"},
		{"GET", "/v1/items/7/8", ""},
		{"GET", "/v1/items/best", "Fixed"},
		{"POST", "/v1/items/best:move", "Move id=best"},
		{"GET", "/v1/items/a:b", "Get id=a:b"},
		{"POST", "/v1/items/a:b:move", "Move id=a:b"},
		{"POST", "/v1/items:moveAll", "Move"},
		{"POST", "/v1/items/:move", ""},
		{"GET", "/v1/shelves/1/items/2", "Get parent_item.id=shelves/1/items/2"},
		{"GET", "/v1/shelves/a%2Fb/items/%41", "Get parent_item.id=shelves/a%2Fb/items/A"},
		{"GET", "/v2", "Get id="},
		{"GET", "/v2/", "Get id="},
		{"GET", "/v2/a//b", "Get id=a//b"},
		{"PATCH", "/any/1/x:do", "Any id=x"},
		{"HEAD", "/any/1/x/y/z:do", "Any id=x/y/z"},
		{"HEAD", "/any//x:do", ""},
		{"GET", "/any/1/x", ""},
		{"GET", "/p/1/of/2/3/4", "Part parent_item.id=1 id=2 at=3 size=4"},
		{"GET", "/", "Root"},
		{"GET", "/a%20b/1", "Escaped id=1"},
		{"POST", "/shop.Shop/Bare", "Bare"},
		{"POST", "/shop.Shop/List", ""}, // it has bindings of its own
		{"GET", "", ""},
		{"OPTIONS", "*", ""},
	} {
		b, values := s.Match(tt.method, tt.path)
		got := ""
		if b != nil {
			got = string(b.Method.Name())
		}
		for _, v := range values {
			var names []string
			for _, f := range v.Field {
				names = append(names, string(f.Name()))
			}
			got += " " + strings.Join(names, ".") + "=" + v.Text
		}
		if got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
	if b, _ := s.Match("POST", "/shop.Shop/Bare"); b.Path != "/shop.Shop/Bare" || !b.HasBody || b.Body != nil {
		t.Errorf("the mapping of a method without rules: %+v", b)
	}
}

// TestLoadErrors: what is wrong with a descriptor set is told with the method and the
// reason.
func TestLoadErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		set  []byte
		o    Options
		want string
	}{
		"no set":          {set: []byte("syntax"), want: "it is no protobuf descriptor set; protoc --include_imports"},
		"empty":           {want: "it has no descriptors"},
		"no rules":        {set: set(t, method("A")), want: "no method has the option google.api.http; see auto_mapping"},
		"no such service": {set: set(t, method("A", get("/a"))), o: Options{Services: []string{"shop.Store"}}, want: `it has no service "shop.Store"`},
		"no pattern":      {set: set(t, method("A", &annotations.HttpRule{})), want: "shop.Shop.A: the option google.api.http has no pattern"},
		"twice":           {set: set(t, method("A", get("/a/{id}")), method("B", get("/a/*"))), want: "shop.Shop.B: GET /a/* takes the same requests as /a/{id} of shop.Shop.A"},
		"nested":          {set: set(t, method("A", get("/a"), &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/b"}, AdditionalBindings: []*annotations.HttpRule{get("/c")}})), want: "additional_bindings within additional_bindings"},
		"body":            {set: set(t, method("A", post("/a", "nothing"))), want: `body: shop.Item has no field "nothing"`},
		"response body":   {set: set(t, method("A", &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/a"}, ResponseBody: "x"})), want: `response_body: shop.Item has no field "x"`},
		"variable":        {set: set(t, method("A", get("/a/{nothing}"))), want: `shop.Shop.A: the template "/a/{nothing}": shop.Item has no field "nothing"`},
		"variable of one": {set: set(t, method("A", get("/a/{id.x}"))), want: `"id" has no field "x": it is no message`},
		"list":            {set: set(t, method("A", get("/a/{tags}"))), want: `the field "tags" is no single value that a path can have`},
		"in a list":       {set: set(t, method("A", get("/a/{parts.id}"))), want: `"parts" has no field "id": it is no message, or a list of them`},
		"message":         {set: set(t, method("A", get("/a/{parent_item}"))), want: `the field "parent_item" is no single value`},
		"two mistakes":    {set: set(t, method("A", get("a")), method("B", get("/b/{"))), want: "\nshop.Shop.B: the template \"/b/{\""},
	} {
		if _, err := Load(tt.set, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	// An import that is left out is named.
	var files descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set(t, method("A", get("/a"))), &files); err != nil {
		t.Fatal(err)
	}
	files.File = files.File[1:]
	b, _ := proto.Marshal(&files)
	if _, err := Load(b, Options{}); err == nil || !strings.Contains(err.Error(), "google/protobuf/timestamp.proto") || !strings.Contains(err.Error(), "--include_imports") {
		t.Error(err)
	}
}

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]*template{
		"/a/*/**":                 {segments: []string{"a", "*", "**"}},
		"/a.b-c_~!$&'()+,;@/x:go": {segments: []string{"a.b-c_~!$&'()+,;@", "x"}, verb: "go"},
		"/{a.b_c=x/*/y}/z":        {segments: []string{"x", "*", "y", "z"}, variables: []variable{{"a.b_c", 0, 3}}},
		"/{a}/{b=**}:v":           {segments: []string{"*", "**"}, variables: []variable{{"a", 0, 1}, {"b", 1, 2}}, verb: "v"},
	} {
		got, err := parseTemplate(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(template{}, variable{})); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"":             `it must begin with "/"`,
		"a":            `it must begin with "/"`,
		"//":           `expected a segment, "*", "**" or a variable in place of "/"`,
		"/a/":          `in place of ""`,
		"/**/a":        `"**" must be the last segment`,
		"/{a=**}/b":    `"**" must be the last segment`,
		"/{a":          `"{" is not closed`,
		"/{a=b":        `"{" is not closed`,
		"/{a=b{c}":     `"{" is not closed`,
		"/{}":          `"" is no path of a field`,
		"/{a.}":        `"a." is no path of a field`,
		"/{a={b}}":     "a variable must not hold another",
		"/{a}/{a}":     `there are two variables "a"`,
		"/a:":          `"" is no verb`,
		"/a:b:c":       `"b:c" is no verb`,
		"/a:b/c":       `"b/c" is no verb`,
		"/a*":          `expected "/" or ":" in place of "*"`,
		"/*a":          `expected "/" or ":" in place of "a"`,
		"/***":         `expected "/" or ":" in place of "*"`,
		"/a b":         `in place of "a b"`,
		"/a?b=c":       `in place of "a?b=c"`,
		"/{a=}":        `in place of "}"`,
		"/a/{b}suffix": `expected "/" or ":" in place of "suffix"`,
	} {
		if _, err := parseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzTemplate: whatever a template is, it is taken or refused; one that is taken matches
// the paths that are made of it, and no path does harm.
func FuzzTemplate(f *testing.F) {
	f.Add("/v1/{id=shelves/*/**}:go", "/v1/shelves/1/2:go")
	f.Add("/a/{id}", "/a/%2F%")
	f.Add("/", "/")
	f.Add("/{id", ":")
	f.Add("/**:x", "/:x")
	f.Fuzz(func(t *testing.T, text, path string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		s := &Schema{}
		b := &Binding{HTTPMethod: "GET", template: parsed}
		if err := s.table.add(b); err != nil {
			t.Fatal(err)
		}
		b.template.variables, b.fields = nil, nil // whose fields there are not
		s.Match("GET", path)
		own := ""
		for _, segment := range parsed.segments {
			switch segment {
			case anySegment, anySegments:
				own += "/x"
			default:
				own += "/" + strings.ReplaceAll(segment, "%", "%25")
			}
		}
		if parsed.verb != "" {
			own += ":" + parsed.verb
		}
		if strings.Count(own, "/") != len(parsed.segments) || strings.Contains(strings.TrimSuffix(own, ":"+parsed.verb), ":") {
			return // an encoded "/" or ":" is text of the template
		}
		if found, _ := s.Match("GET", own); found != b {
			t.Errorf("%q does not match %q", text, own)
		}
	})
}
