package forward

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// DryRun takes a request the way that it would take, up to the moment at which it would go
// out: through the same filters, the same table and the same rewriting, by the same code.
// Nothing is sent, recorded or counted. The zero value of what is not set is fine.
type DryRun struct {
	// Info is what the connection would know of itself; its Sink is not used.
	Info filter.ConnInfo
	// Head returns the request's head, anew for each call.
	Head func() (*message.Head, error)
	// Chance is the random number that routes with a share of the requests go by, and Seed
	// that of all other chances.
	Chance, Seed uint64
	// Target is the index of the target that is taken, in place of the one that is chosen.
	Target int
	// Filters returns the chain of a route's filters that a dry run goes through, before
	// filter.Act; nil for none. Those that wait or count are not to be in it.
	Filters func(*Route) filter.Handler
	// Version is the protocol that the endpoint of a target speaks, and Endpoint its address.
	Version  func(*Target) hop.Version
	Endpoint func(*Target) string

	// What follows was found out by Run. Request is what was matched, Route what it matches,
	// nil for nothing, and At the index of that in the table of the listener, or else of the
	// Catalog.
	Request route.Request
	Route   *Route
	Catalog *Routing
	At      int
	// Egress says that the forward proxy takes the request.
	Egress bool
	// Call says that the request is a gRPC call. An answer has GRPCStatus, and 200, then.
	Call       bool
	GRPCStatus hop.GRPCStatus
	// Action is what forwards the request, nil for nothing, and Sent the head as it would go
	// out, in the form of HTTP/1. If the endpoint speaks HTTP/2, it has the fields of that.
	Action *Forward
	Sent   string
	// Chosen is the index of the target that was chosen. It is Sure if that follows from the
	// request, and not from chance.
	Chosen int
	Sure   bool
	// Session is the endpoint that the session of the request keeps it at, "" for none.
	Session string
	// Plan is how long it may take, and what would be sent again.
	Plan Plan
}

// Plan is how a request is tried.
type Plan struct {
	// Timeout is the time for the whole response, and PerTry for each attempt; 0 is none.
	// CallerWaits is how long the caller said that it waits, less the margin, 0 if it did not.
	// Idle is how long no byte may move, 0 for ever.
	Timeout, PerTry, CallerWaits, Idle time.Duration
	// Attempts is how often the request is sent at most, and On when it is sent again, in the
	// words of the configuration.
	Attempts int
	On       []string
	Budget   bool
	// Implied says that nobody has said so: it is what can't have reached an endpoint.
	Implied bool
}

// Run makes the dry run of a request. The answer is what the proxy itself would answer with,
// nil where the request would be sent on. An error is a request that is none.
func (f *Forwarder) Run(d *DryRun) (*fault.Answer, error) {
	head, err := d.Head()
	if err != nil {
		return nil, err
	}
	dry := &Forwarder{Options: f.Options, dry: d, via: f.via}
	dry.UnderWay, dry.Causes, dry.Kernel, dry.Egress = nil, nil, nil, nil
	dry.unmatched = dry.miss
	if d.Egress = f.Egress != nil; d.Egress {
		dry.unmatched = func(*filter.Exchange) error { return errDry }
	}
	d.Info.Sink, d.At = nowhere{}, -1
	x := &filter.Exchange{Request: *head}
	x.Seed(d.Seed)
	c := &dryClient{info: &d.Info, none: !head.HasBody()}
	x.Connect(c, c, c)
	dry.open(x)
	d.Call = x.Hop.GRPC
	x.Begin(context.Background(), dryRouter{dry})
	dry.screen(x)
	if err := filter.Chain(dry.Route, f.Filters...)(x); err != nil && err != errDry {
		answer := fault.AnswerTo(err)
		d.GRPCStatus = statusOf(answer)
		return answer, nil
	}
	return nil, nil
}

// errDry ends a dry run that came to its end.
var errDry error = fault.New(fault.Internal, "a dry run went on behind its end")

// match is [Forwarder.match] for a dry run, whose chance is given.
func (d *DryRun) match(f *Forwarder, x *filter.Exchange) *Route {
	head := x.Request.Clone() // it is changed on its way
	d.Request = route.Request{Head: &head, Random: d.Chance}
	tell(&d.Request, x, route.AsksClient|route.AsksCertificate)
	if x.Request.Method != message.CONNECT {
		d.Route, d.Catalog, d.At = f.find(&d.Request, f.catalog())
	}
	d.Egress = d.Egress && d.Route == nil
	return d.Route
}

// taken has the request served by the route, but for the filters that a dry run leaves out.
func (d *DryRun) taken(x *filter.Exchange) error {
	if d.Filters != nil {
		if chain := d.Filters(d.Route); chain != nil {
			return chain(x)
		}
	}
	return filter.Act(x)
}

// target is the one that the dry run is about, in place of the one that was chosen.
func (d *DryRun) target(x *filter.Exchange, a *Forward, chosen *Target) *Target {
	d.Action, d.Sure = a, a.ClusterHeader != ""
	if a.Sticky != nil {
		_, cookie, has := a.Sticky.of(x)
		d.Sure = has && cookie.on == nil
	}
	for i := range a.Targets {
		if &a.Targets[i] == chosen {
			d.Chosen = i
		}
	}
	if d.Target < len(a.Targets) {
		return &a.Targets[d.Target]
	}
	return chosen
}

// Chances are the shares of such requests that each target gets, from 0 to 1.
func (d *DryRun) Chances() []float64 {
	all := make([]float64, len(d.Action.Targets))
	if d.Sure || len(all) == 1 {
		all[d.Chosen] = 1
		return all
	}
	sum, held := 0.0, d.Action.held()
	for i := range d.Action.Targets {
		sum += float64(d.Action.weight(i, held))
	}
	for i := range all {
		if all[i] = 1 / float64(len(all)); sum > 0 {
			all[i] = float64(d.Action.weight(i, held)) / sum
		}
	}
	return all
}

// dryRouter is the router of a dry run.
type dryRouter struct{ *Forwarder }

// Decorate is for responses, of which there is none.
func (dryRouter) Decorate(*filter.Exchange, *message.Head) {}

// delivered ends the run at the moment at which the first attempt would be made.
func (d *DryRun) delivered(of *delivery) error {
	x, l, a := of.x, &of.limits, &of.attempt
	l.begin(0) // the request has come as a whole, and no time passes
	record := x.Hop.Attempt()
	record.Cluster = of.target.Cluster.Name
	if d.Endpoint != nil {
		record.Endpoint = d.Endpoint(of.target)
	}
	if s := of.target.Session; s != nil {
		e, err := s.endpoint(of.target.Cluster, &x.Request, &x.Pick)
		if err != nil {
			return err
		}
		if e != nil {
			record.Endpoint, d.Session = e.Address, e.Address
		}
	}
	spoken := hop.HTTP11
	if d.Version != nil {
		spoken = d.Version(of.target)
	}
	a.stream = pretended{version: spoken}
	if err := a.prepare(record); err != nil {
		return err
	}
	d.Sent = string(http1.AppendRequest(nil, &x.Request, x.Request.OriginTarget(), http1.Persist))
	if spoken == hop.HTTP2 {
		d.Sent = inHTTP2(d.Sent)
	}
	d.Plan = Plan{Timeout: l.timeout, PerTry: l.perTry, CallerWaits: shorter(l.expected, l.expires), Idle: cmp.Or(of.x.Idle, of.f.StreamIdleTimeout), Attempts: of.retry.attempts, Budget: of.retry.budget() != nil, Implied: of.retry.policy == nil}
	for i, word := range retryWords {
		if of.retry.on&(1<<i) != 0 {
			d.Plan.On = append(d.Plan.On, word)
		}
	}
	return errDry
}

// inHTTP2 is a head of HTTP/1 with what is left of its fields in HTTP/2, in the order in which
// they are sent there: Host, which is :authority, then the others with their names in lower
// case, and TE and Content-Length at the end (RFC 9113 section 8.2).
func inHTTP2(head string) string {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	first := []string{strings.TrimSuffix(lines[0], " HTTP/1.1") + " HTTP/2"}
	var fields, last []string
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		line = name + ":" + value
		switch message.FieldByName([]byte(name)) {
		case message.Host:
			first = append(first, line)
		case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		case message.TE:
			last = slices.Insert(last, 0, line)
		case message.ContentLength:
			last = append(last, line)
		default:
			fields = append(fields, line)
		}
	}
	return strings.Join(slices.Concat(first, fields, last), "\r\n") + "\r\n\r\n"
}

// pretended is the stream of an attempt that is not made.
type pretended struct {
	upstream.Stream
	version hop.Version
}

func (s pretended) Version() hop.Version { return s.version }

// nowhere takes no Hops.
type nowhere struct{}

func (nowhere) Open() *hop.Hop  { return &hop.Hop{} }
func (nowhere) Record(*hop.Hop) {}

// dryClient is the client's side of a dry run: nobody.
type dryClient struct {
	info *filter.ConnInfo
	none bool // the request has no content
}

func (c *dryClient) Info() *filter.ConnInfo      { return c.info }
func (c *dryClient) Gone() func() bool           { return func() bool { return false } }
func (c *dryClient) Left() error                 { return nil }
func (c *dryClient) Detach() netio.Duplex        { return nil }
func (c *dryClient) Whole() ([]byte, bool)       { return nil, c.none }
func (c *dryClient) Next() ([]byte, error)       { return nil, io.EOF }
func (c *dryClient) Complete() bool              { return true }
func (c *dryClient) Trailers() *message.Head     { return nil }
func (c *dryClient) Stop()                       {}
func (c *dryClient) Resume()                     {}
func (c *dryClient) Interim(*message.Head) error { return nil }
func (c *dryClient) Head(*message.Head) error    { return nil }
func (c *dryClient) Content([]byte) error        { return nil }
func (c *dryClient) Flush() error                { return nil }
func (c *dryClient) End(*message.Head) error     { return nil }
func (c *dryClient) Began() bool                 { return false }
func (c *dryClient) Cut()                        {}
