package resource

import (
	"maps"
	"os"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
)

// SchemaURL names the version of the semantic conventions that exported telemetry follows.
const SchemaURL = "https://opentelemetry.io/schemas/1.37.0"

// Options describe this process.
type Options struct {
	// Version is hopscope's own version; default is none.
	Version string
	// HostName is host.name; default is the machine's.
	HostName string
	// Attributes are further attributes. They also replace those that New makes, except
	// service.name and those of telemetry.sdk.
	Attributes map[string]string
}

// New returns the resource of a service.
func New(service string, o Options) *resourcepb.Resource {
	if o.HostName == "" {
		o.HostName, _ = os.Hostname() // without a name the attribute is left out
	}
	r := &resourcepb.Resource{}
	add := func(name, value string) {
		if value == "" {
			return
		}
		r.Attributes = append(r.Attributes, &commonpb.KeyValue{
			Key: strings.ToValidUTF8(name, "\uFFFD"),
			Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{
				StringValue: strings.ToValidUTF8(value, "\uFFFD"),
			}},
		})
	}
	add("service.name", service)
	if _, given := o.Attributes["host.name"]; !given {
		add("host.name", o.HostName)
	}
	add("telemetry.sdk.name", "hopscope")
	add("telemetry.sdk.language", "go")
	add("telemetry.sdk.version", o.Version)
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		if name != "service.name" && !strings.HasPrefix(name, "telemetry.sdk.") {
			add(name, o.Attributes[name])
		}
	}
	return r
}

// Scope returns the instrumentation scope.
func Scope(o Options) *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: "github.com/hopscope/hopscope", Version: o.Version}
}
