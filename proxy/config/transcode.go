package config

import "github.com/hopscope/hopscope/proxy/httprule"

// Transcode lets clients that know only HTTP and JSON call the gRPC methods of the cluster,
// by the google.api.http options in their descriptors. A request that an option is for
// becomes a call: its path, its query and its JSON content make the method's request
// message. The response message becomes JSON. The messages of a server's stream are sent as
// they come: a line of JSON each (application/x-ndjson), or an event each if the client
// accepts text/event-stream. A status that is not OK becomes an HTTP status with
// google.rpc.Status as JSON; in a stream that has begun it is the last line,
// {"error": ...}, or an event "error". google.api.HttpBody passes as it is. The route is
// matched by the request as it came, and the cluster needs HTTP/2. x-envoy-original-path and
// x-envoy-original-method tell the endpoint what the request was. Calls of gRPC itself pass,
// and so do other requests.
type Transcode struct {
	// Descriptors is the file of the descriptors, as protoc --include_imports
	// --descriptor_set_out=FILE writes it. It is read at the start and at each reload.
	Descriptors string `yaml:"descriptors" required:"true" format:"file"`
	// Services are the full names of the services, such as shop.Cart. The default is all
	// that the file has.
	Services []string `yaml:"services" format:"name"`
	// AutoMapping also takes methods that have no option: POST of /package.Service/Method,
	// with the request message as content.
	AutoMapping bool `yaml:"auto_mapping" default:"false"`
	// RejectUnknownMethods answers requests that no option is for with 404.
	RejectUnknownMethods bool `yaml:"reject_unknown_methods" default:"false"`
	// IgnoredQueryParameters are those of the query that are no fields of the message, such
	// as api_key. Any other that is none is an error, 400.
	IgnoredQueryParameters []string `yaml:"ignored_query_parameters" format:"name"`
	// IgnoreUnknownQueryParameters ignores all that are no fields of the message.
	IgnoreUnknownQueryParameters bool `yaml:"ignore_unknown_query_parameters" default:"false"`
	// ConvertGRPCStatus gives failures google.rpc.Status as content, with its details
	// (grpc-status-details-bin) as far as their types are known. With false they have no
	// content, and the fields grpc-status and grpc-message.
	ConvertGRPCStatus bool `yaml:"convert_grpc_status" default:"true"`
	// MaxMessage is the most bytes of the content of a request, and of a message of the
	// response. What is translated at a time is kept in memory; see overload.
	MaxMessage string `yaml:"max_message" default:"4MiB" format:"size"`
	// Print says how JSON is written.
	Print TranscodePrint `yaml:"print"`

	content string // of the file
}

// TranscodePrint says how messages are written as JSON.
type TranscodePrint struct {
	// AddWhitespace writes several lines, with indents; not in a stream.
	AddWhitespace bool `yaml:"add_whitespace" default:"false"`
	// AlwaysPrintPrimitiveFields also writes fields that have their default value: all but
	// absent messages.
	AlwaysPrintPrimitiveFields bool `yaml:"always_print_primitive_fields" default:"false"`
	// AlwaysPrintEnumsAsInts writes the numbers of enums' values, not their names.
	AlwaysPrintEnumsAsInts bool `yaml:"always_print_enums_as_ints" default:"false"`
	// PreserveProtoFieldNames writes the names of fields as the descriptors have them, not
	// in lowerCamelCase. In requests both are understood.
	PreserveProtoFieldNames bool `yaml:"preserve_proto_field_names" default:"false"`
}

// transcode checks what spans the keys of a route with transcode.
func (v validator) transcode(p *place, r *Route) {
	if r.Transcode == nil {
		return
	}
	if r.Redirect != nil || r.Answer != nil {
		v.errs.add(p.key("transcode"), "has no effect, as the proxy itself answers the requests of this route; remove the key")
	}
	for _, name := range r.Targets() {
		if c, ok := v.config.Clusters[name]; ok && (c.Protocol == "http1" || c.Protocol == "auto" && c.TLS == nil) {
			v.errs.add(p.key("transcode"), "gRPC needs HTTP/2, and cluster %q speaks HTTP/1.1; set %s to http2", clip(name), v.root.key("clusters").key(name).key("protocol").path())
		}
	}
	if w := r.Rewrite; w != nil && w.PathPrefix+w.PathRegex+w.PathTemplate != "" {
		v.errs.add(p.key("transcode"), "does not go with a rewrite of the path: the path of a call is its method's; remove one of the two")
	}
	if r.InternalRedirects != nil {
		v.errs.add(p.key("transcode"), "does not go with internal_redirects: what follows a redirect would be a call, and the client would get no JSON; remove one of the two")
	}
}

// WithContent returns a Transcode that has the content of its file. Whoever reads files sets
// it.
func (t *Transcode) WithContent(content []byte) *Transcode {
	with := *t
	with.content = string(content)
	return &with
}

// Schema compiles the content of the file.
func (t *Transcode) Schema() (*httprule.Schema, error) {
	return httprule.Load([]byte(t.content), httprule.Options{Services: t.Services, AutoMapping: t.AutoMapping})
}

// transcode checks the descriptors of a route.
func (f fileChecker) transcode(p *place, t *Transcode) {
	content, ok := f.read(p, t.Descriptors)
	if !ok {
		return
	}
	if _, err := t.WithContent(content).Schema(); err != nil {
		f.lines(p, t.Descriptors, err)
	}
}

// NewTranscode returns a Transcode with every default in place.
func NewTranscode(descriptors string) *Transcode {
	t := withDefaults[Transcode]()
	t.Descriptors = descriptors
	return &t
}
