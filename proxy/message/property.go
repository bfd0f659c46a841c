package message

// Property is what a field's name alone says about the field. Whether a field
// passes the proxy is decided by its properties, never by whether its name
// happens to have a number here.
type Property uint8

const (
	// ConnectionSpecific fields are about one connection and never pass (RFC
	// 9110 section 7.6.1, RFC 9113 section 8.2.2).
	ConnectionSpecific Property = 1 << iota
	// Frames says how long the message is.
	Frames
	// HeadOnly fields may not come in a trailer section (RFC 9110 section
	// 6.5.1): they frame, route, authenticate, control or describe the message,
	// which is needed before its content.
	HeadOnly
	// Guarded fields are those that the proxy itself acts on or writes. Naming
	// one in Connection, or repeating it in a request's trailers, would undo
	// that, and is no reason to.
	Guarded
)

// properties are those of each name that has any; see prefixes.
var properties = map[string]Property{
	"connection":        ConnectionSpecific | HeadOnly | Guarded,
	"keep-alive":        ConnectionSpecific | HeadOnly | Guarded,
	"proxy-connection":  ConnectionSpecific | HeadOnly | Guarded,
	"te":                ConnectionSpecific | HeadOnly | Guarded,
	"transfer-encoding": ConnectionSpecific | Frames | HeadOnly | Guarded,
	"upgrade":           ConnectionSpecific | HeadOnly | Guarded,
	"http2-settings":    ConnectionSpecific | HeadOnly,
	"content-length":    Frames | HeadOnly | Guarded,
	"trailer":           HeadOnly | Guarded,

	// Content.
	"content-type":   HeadOnly | Guarded,
	"content-digest": 0, // made for trailers (RFC 9530)
	"last-modified":  HeadOnly,

	// Routing.
	"host":         HeadOnly | Guarded,
	"via":          HeadOnly | Guarded,
	"forwarded":    HeadOnly | Guarded,
	"x-real-ip":    HeadOnly,
	"max-forwards": HeadOnly,

	// Authentication.
	"authorization":       HeadOnly,
	"proxy-authorization": HeadOnly,
	"www-authenticate":    HeadOnly,
	"proxy-authenticate":  HeadOnly,
	"cookie":              HeadOnly,
	"set-cookie":          HeadOnly,

	// What modifies a request.
	"accept":          HeadOnly,
	"accept-charset":  HeadOnly,
	"accept-encoding": HeadOnly,
	"accept-language": HeadOnly,
	"cache-control":   HeadOnly,
	"expect":          HeadOnly | Guarded,
	"grpc-timeout":    HeadOnly | Guarded,
	"pragma":          HeadOnly,
	"range":           HeadOnly,

	// What controls a response.
	"age":         HeadOnly,
	"date":        HeadOnly,
	"expires":     HeadOnly,
	"location":    HeadOnly,
	"retry-after": HeadOnly,
	"vary":        HeadOnly,
	"warning":     HeadOnly,

	// What the proxy writes into a request.
	"x-request-id":    Guarded,
	"traceparent":     Guarded,
	"tracestate":      Guarded,
	"baggage":         Guarded,
	"b3":              Guarded,
	"uber-trace-id":   Guarded,
	"x-amzn-trace-id": Guarded,
}

// prefixes are the properties of the other names that begin so.
var prefixes = [...]struct {
	prefix string
	Property
}{
	{"x-forwarded-", HeadOnly | Guarded},
	{"x-envoy-", HeadOnly | Guarded},
	{"x-b3-", Guarded},
	{"uberctx-", Guarded},
	{"content-", HeadOnly},
	{"access-control-", HeadOnly},
	{"if-", HeadOnly},
}

// longest is the length of the longest name in properties.
var longest = func() (n int) {
	for name := range properties {
		n = max(n, len(name))
	}
	return n
}()

// PropertiesOf returns the properties of a name, whatever its case.
func PropertiesOf(name []byte) Property {
	if len(name) <= longest {
		var space [64]byte
		small := space[:0]
		for _, c := range name {
			small = append(small, lower(c))
		}
		if p, ok := properties[string(small)]; ok {
			return p
		}
	}
	for i := range prefixes {
		if p := &prefixes[i]; len(name) > len(p.prefix) && EqualFold(name[:len(p.prefix)], p.prefix) {
			return p.Property
		}
	}
	return 0
}

// Has reports whether p has one of the properties in any.
func (p Property) Has(any Property) bool { return p&any != 0 }
