package message

import "encoding/binary"

// FieldID is the number of a field name that the proxy has to do with: found
// once when a head is decoded, compared as an integer ever after.
type FieldID uint8

// The known fields. Unknown must stay the first; there is room for 256. The order
// of the others means nothing: what is decided about a field is decided by its
// name, a [FieldSet] that lists it, or a [Property].
const (
	Unknown FieldID = iota
	Connection
	KeepAlive
	ProxyConnection
	TE
	Trailer
	TransferEncoding
	Upgrade
	ContentLength
	ContentType
	Host
	Expect
	UserAgent
	Via
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XRequestID
	ProxyStatus
	ServerTiming
	Server
	Date
	Traceparent
	Tracestate
	B3
	XB3TraceID
	XB3SpanID
	XB3ParentSpanID
	XB3Sampled
	XB3Flags
	UberTraceID
	XAmznTraceID
	Baggage
	ProxyAuthorization
	ProxyAuthenticate
	Cookie
	GRPCStatus
	GRPCMessage
	GRPCTimeout
	XForwardedClientCert
	XEnvoyRetryOn
	XEnvoyRetryGRPCOn
	XEnvoyMaxRetries
	XEnvoyTimeout
	XEnvoyPerTryTimeout
	XEnvoyExpectedTimeout
	XEnvoyAttemptCount
	XEnvoyRateLimited
	lastField
)

var names = [lastField]string{
	Connection:            "connection",
	KeepAlive:             "keep-alive",
	ProxyConnection:       "proxy-connection",
	TE:                    "te",
	Trailer:               "trailer",
	TransferEncoding:      "transfer-encoding",
	Upgrade:               "upgrade",
	ContentLength:         "content-length",
	ContentType:           "content-type",
	Host:                  "host",
	Expect:                "expect",
	UserAgent:             "user-agent",
	Via:                   "via",
	Forwarded:             "forwarded",
	XForwardedFor:         "x-forwarded-for",
	XForwardedProto:       "x-forwarded-proto",
	XForwardedHost:        "x-forwarded-host",
	XRequestID:            "x-request-id",
	ProxyStatus:           "proxy-status",
	ServerTiming:          "server-timing",
	Server:                "server",
	Date:                  "date",
	Traceparent:           "traceparent",
	Tracestate:            "tracestate",
	B3:                    "b3",
	XB3TraceID:            "x-b3-traceid",
	XB3SpanID:             "x-b3-spanid",
	XB3ParentSpanID:       "x-b3-parentspanid",
	XB3Sampled:            "x-b3-sampled",
	XB3Flags:              "x-b3-flags",
	UberTraceID:           "uber-trace-id",
	XAmznTraceID:          "x-amzn-trace-id",
	Baggage:               "baggage",
	ProxyAuthorization:    "proxy-authorization",
	ProxyAuthenticate:     "proxy-authenticate",
	Cookie:                "cookie",
	GRPCStatus:            "grpc-status",
	GRPCMessage:           "grpc-message",
	GRPCTimeout:           "grpc-timeout",
	XForwardedClientCert:  "x-forwarded-client-cert",
	XEnvoyRetryOn:         "x-envoy-retry-on",
	XEnvoyRetryGRPCOn:     "x-envoy-retry-grpc-on",
	XEnvoyMaxRetries:      "x-envoy-max-retries",
	XEnvoyTimeout:         "x-envoy-upstream-rq-timeout-ms",
	XEnvoyPerTryTimeout:   "x-envoy-upstream-rq-per-try-timeout-ms",
	XEnvoyExpectedTimeout: "x-envoy-expected-rq-timeout-ms",
	XEnvoyAttemptCount:    "x-envoy-attempt-count",
	XEnvoyRateLimited:     "x-envoy-ratelimited",
}

// String is the name in lower case, "" for Unknown.
func (id FieldID) String() string { return names[id] }

// FieldSet is a set of known fields, a bit for each number.
type FieldSet [4]uint64

// SetOf returns the set of these fields.
func SetOf(ids ...FieldID) (set FieldSet) {
	for _, id := range ids {
		set.add(id)
	}
	return set
}

// Has reports whether a field is in the set.
func (s *FieldSet) Has(id FieldID) bool { return s[id>>6]&(1<<(id&63)) != 0 }

func (s *FieldSet) add(id FieldID)    { s[id>>6] |= 1 << (id & 63) }
func (s *FieldSet) remove(id FieldID) { s[id>>6] &^= 1 << (id & 63) }

// meets reports whether the sets have a field in common.
func (s *FieldSet) meets(other *FieldSet) bool {
	return s[0]&other[0]|s[1]&other[1]|s[2]&other[2]|s[3]&other[3] != 0
}

// FieldByName returns the number of a name, whatever its case, or Unknown.
func FieldByName(name []byte) FieldID {
	if len(name) < 2 || len(name) > maxName {
		return Unknown
	}
	first, last := ends(name)
	known := candidates[len(name)]
	for i := range known {
		k := &known[i]
		if k.first == first && k.last == last && (len(name) <= 16 || EqualFold(name, names[k.id])) {
			return k.id
		}
	}
	return Unknown
}

const maxName = len("x-envoy-upstream-rq-per-try-timeout-ms")

// candidate is a known name by its ends, which say all of one of up to 16 bytes.
type candidate struct {
	first, last uint64
	id          FieldID
}

// candidates holds the known names of each length.
var candidates = func() (table [maxName + 1][]candidate) {
	for id := Unknown + 1; id < lastField; id++ {
		c := candidate{id: id}
		c.first, c.last = ends([]byte(names[id]))
		table[len(names[id])] = append(table[len(names[id])], c)
	}
	return table
}()

// ends are the first and the last eight bytes of a name of two or more, its letters in
// lower case. They overlap, and of a shorter name they are smaller, where need be.
func ends(b []byte) (first, last uint64) {
	switch n := len(b); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		first, last = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		first, last = uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint16(b[n-2:]))
	}
	return lowerEight(first), lowerEight(last)
}

// lowerEight is lower of each of eight bytes.
func lowerEight(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	low := w &^ highs
	// The highest bit of a byte is set if it is 'A' or more, and if it is more than 'Z'.
	from, beyond := low+(0x80-'A')*ones, low+(0x7f-'Z')*ones
	return w | (from&^beyond&^w&highs)>>2
}

// Method is a request method by number.
type Method uint8

// The methods of RFC 9110 section 9.3 and RFC 5789; any other is MethodOther.
const (
	MethodOther Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	CONNECT
	OPTIONS
	TRACE
	PATCH
)

var methods = [...]string{"_OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// String is the method's name, "_OTHER" for one that is not known: a value for
// labels and attributes, never for the wire.
func (m Method) String() string { return methods[m] }

// MethodByName returns the number of a method; methods are case-sensitive.
func MethodByName(b []byte) Method {
	for m := GET; m <= PATCH; m++ {
		if string(b) == methods[m] {
			return m
		}
	}
	return MethodOther
}

// Idempotent reports whether a request with the method may be sent again when
// its outcome is not known (RFC 9110 section 9.2.2).
func (m Method) Idempotent() bool {
	switch m {
	case GET, HEAD, PUT, DELETE, OPTIONS, TRACE:
		return true
	}
	return false
}
