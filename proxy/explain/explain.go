package explain

import (
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// Request is a request to be explained.
type Request struct {
	// Listener is the listener that it comes to. "" is the one whose port the URL has, or
	// else the first that has a route for the request.
	Listener string `json:"listener,omitempty"`
	// Method is GET if it is "".
	Method string `json:"method,omitempty"`
	// URL is absolute, or a path with or without a query. For CONNECT it is host:port.
	URL string `json:"url"`
	// Headers are field lines such as "x-user-group: beta".
	Headers []string `json:"headers,omitempty"`
	// Client is the address of the client, 127.0.0.1 if it is "".
	Client string `json:"client,omitempty"`
	// Identity is what the client's certificate has: a DNS name, or a URI such as a SPIFFE
	// id. "" is no certificate.
	Identity string `json:"identity,omitempty"`
	// HTTP2 says that it comes over HTTP/2. gRPC calls do.
	HTTP2 bool `json:"http2,omitempty"`
	// Chance decides on routes that take a share of the requests: they take the request if
	// their percent is above it. Without it, the route that most requests take is explained.
	Chance *float64 `json:"chance,omitempty"`
}

// Explanation is what a proxy does with a request, and why.
type Explanation struct {
	// Request is the request in one line, and Listener the one that takes it.
	Request  string `json:"request"`
	Listener string `json:"listener"`
	// Early says that it is answered before a route is looked for.
	Early bool `json:"early,omitempty"`
	// Route is the one that the request takes, nil for none. Chance is the share of such
	// requests that take it, from 0 to 1, and Others are where the rest goes.
	Route  *Route  `json:"route"`
	Chance float64 `json:"chance"`
	Others []Route `json:"others,omitempty"`
	// Earlier are the routes before it, or all if there is none, each with the first
	// condition that the request does not meet.
	Earlier []Earlier `json:"earlier"`
	// Filters are what the request goes through, in their order.
	Filters []Filter `json:"filters"`
	// Answer is what the proxy itself answers with, nil where it sends the request on.
	Answer *Answer `json:"answer,omitempty"`
	// Targets are where the request may go.
	Targets []Target `json:"targets,omitempty"`
	// Timeouts are how long it may take.
	Timeouts []config.Shown `json:"timeouts,omitempty"`
	// Retry says when, and how often, it is sent again.
	Retry *Retry `json:"retry,omitempty"`
	// Settings are all that the route says besides its match.
	Settings []config.Shown `json:"settings,omitempty"`
	// Notes are what else there is to know.
	Notes []string `json:"notes,omitempty"`
	// Hop is what was recorded of the request, a line for each fact, if it is one that happened.
	Hop []config.Shown `json:"hop,omitempty"`
}

// Route names a route.
type Route struct {
	// Number is its place among the routes of its listener, or of the catalog, from 1 on.
	Number  int    `json:"number"`
	Name    string `json:"name"`
	Match   string `json:"match"`
	Catalog bool   `json:"catalog,omitempty"`
	// Chance is the share of such requests that take it, from 0 to 1.
	Chance float64 `json:"chance"`
}

// Earlier is a route that comes before, and does not take the request.
type Earlier struct {
	Number  int    `json:"number"`
	Name    string `json:"name"`
	Catalog bool   `json:"catalog,omitempty"`
	// Key is the first condition that the request does not meet, such as
	// "headers x-user-group", Wants what it asks for, and Has what the request has; Absent
	// says that it has nothing.
	Key    string `json:"key"`
	Wants  string `json:"wants"`
	Has    string `json:"has"`
	Absent bool   `json:"absent,omitempty"`
}

// Filter is a filter that the request goes through.
type Filter struct {
	// Of is "listener" or "route". Name is the key of the configuration, and Settings its
	// value.
	Of       string `json:"of"`
	Name     string `json:"name"`
	Settings string `json:"settings,omitempty"`
	// Asked is true for a filter that was asked what it does with the request. What others
	// do depends on more than the request: on chance, or on what else is under way.
	Asked bool `json:"asked"`
}

// Answer is a response of the proxy's own.
type Answer struct {
	// Status is the HTTP status. It is 200 for a gRPC call, whose status is GRPCStatus by its
	// name, such as UNAVAILABLE; "" is no call.
	Status     int      `json:"status"`
	GRPCStatus string   `json:"grpc_status,omitempty"`
	Headers    []string `json:"headers,omitempty"`
	// Why is the failure that it is about, or the detail of another refusal, and Flags its
	// response flags; both are empty for an answer that is none.
	Why   string `json:"why,omitempty"`
	Flags string `json:"flags,omitempty"`
	Body  string `json:"body,omitempty"`
}

// Target is a cluster that the request may go to.
type Target struct {
	Cluster string `json:"cluster"`
	// Variant is what tells it from the other targets of the route, "" for an only one.
	Variant string `json:"variant,omitempty"`
	// Chance is from 0 to 1.
	Chance float64 `json:"chance"`
	// Balance is how an endpoint is chosen, and From where they come from.
	Balance   string     `json:"balance"`
	From      string     `json:"from"`
	Endpoints []Endpoint `json:"endpoints"`
	// Session is the endpoint that the request's session (stateful_session) keeps it at, ""
	// for none.
	Session string `json:"session,omitempty"`
	// Sent is the head of the request as it goes out: its first line, then its fields. What
	// is made for each request anew is written as "...".
	Sent []string `json:"sent,omitempty"`
	// Changes are what the proxy does to the request, a line that begins with "-" or "+" for
	// each that goes or comes.
	Changes []string `json:"changes,omitempty"`
}

// Endpoint is an endpoint of a target.
type Endpoint struct {
	Address string  `json:"address"`
	Weight  float64 `json:"weight"`
	Health  string  `json:"health"`
	Why     string  `json:"why,omitempty"`
}

// Retry says when a request is sent again.
type Retry struct {
	Attempts int           `json:"attempts"`
	On       []string      `json:"on"`
	PerTry   time.Duration `json:"per_try_ns,omitempty"`
	Budget   bool          `json:"budget"`
	// Implied is true where there is no policy: only what can't have reached an endpoint is
	// sent again.
	Implied bool `json:"implied,omitempty"`
}
