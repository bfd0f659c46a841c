package forward

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Mirror sends copies of a route's requests to another cluster. Nobody waits for their
// responses, which are read and thrown away. A copy is an exchange of its own, with a Hop of
// its own, whose direction is [hop.Mirror].
type Mirror struct {
	// Route has the labels of the copies, and where they go: a Forward with one target.
	Route *Route
	// Share is the share of the requests that are copied.
	Share route.Share
	// Most is how many copies may be under way.
	Most int64
	// Behind is how many bytes of content a copy may have yet to send when more arrives. One
	// that is slower is cut off.
	Behind int

	active  atomic.Int64
	skipped atomic.Uint64
}

// Skipped is how many requests were not copied because as many as may be were under way.
func (m *Mirror) Skipped() uint64 { return m.skipped.Load() }

// enter lets a copy in, if there is room for it.
func (m *Mirror) enter() bool {
	if m.active.Add(1) <= m.Most {
		return true
	}
	m.active.Add(-1)
	m.skipped.Add(1)
	return false
}

// original is the request that copies are made of, as the copies know it.
type original struct {
	ended chan struct{}
	span  hop.SpanID // that the request is known by; once it has ended
}

// mirrored carries out a delivery whose request may be copied.
func (a *Forward) mirrored(d *delivery) error {
	f, x := d.f, d.x
	copies := a.copies(f, x)
	if len(copies) == 0 {
		return d.carryOut()
	}
	o := &original{ended: make(chan struct{})}
	content, whole := x.Body.Whole()
	if whole {
		for _, c := range copies {
			c.content.add(content)
			c.content.end(nil)
		}
	} else {
		tee := &tee{Body: x.Body}
		for _, c := range copies {
			tee.to = append(tee.to, c.content)
		}
		x.Body = tee
		defer tee.stop(x)
	}
	defer func() {
		o.span = x.Hop.ExportedSpan()
		close(o.ended)
	}()
	for _, c := range copies {
		go c.run(f, o)
	}
	return d.carryOut()
}

// copies makes the copies of a request. A request that changes protocols has none: what
// follows it is a conversation.
func (a *Forward) copies(f *Forwarder, x *filter.Exchange) (all []*shadow) {
	if x.Request.Upgrade || x.Request.Method == message.CONNECT {
		return nil
	}
	var names []string
	for _, m := range a.Mirrors {
		if !m.Share.Has(x.Random()) || !m.enter() {
			continue
		}
		all = append(all, a.shadow(f, x, m))
		names = append(names, m.Route.Labels.Cluster)
	}
	if len(all) > 0 {
		x.Hop.SetString(&x.Hop.Mirrored, strings.Join(names, ", "))
	}
	return all
}

// shadow is a copy of a request, on its way. It has no client: what it is asked for of one is
// answered here.
type shadow struct {
	x       filter.Exchange
	mirror  *Mirror
	info    filter.ConnInfo
	account overload.Account
	content *copied
	began   bool // the response
}

// shadow makes a copy of the request, as it goes out but for its host.
func (a *Forward) shadow(f *Forwarder, x *filter.Exchange, m *Mirror) *shadow {
	info := x.Conn.Info()
	s := &shadow{mirror: m, info: *info, content: newCopied(m.Behind)}
	if s.info.Account = nil; info.Account != nil {
		s.account.Open(info.Account.Budget())
		s.info.Account, s.content.account = &s.account, &s.account
	}
	to := &s.x
	to.Request = *x.Request.Detach()
	uninvite(&to.Request)
	h, from := s.info.Sink.Open(), x.Hop
	h.Labels, h.Start = m.Route.Labels, time.Now()
	h.Trace, h.Span = from.Trace, tracecontext.NewSpanID(x.Random())
	h.Sampled, h.Keep = from.Sampled, from.Keep
	h.Method, h.Version, h.Scheme, h.GRPC = from.Method, from.Version, from.Scheme, from.GRPC
	h.Client, h.Peer = from.Client, from.Peer
	h.Set(&h.MethodText, from.Bytes(from.MethodText))
	h.Set(&h.Host, from.Bytes(from.Host))
	h.Set(&h.Path, to.Request.Path())
	h.Set(&h.Query, to.Request.Query())
	h.Set(&h.UserAgent, from.Bytes(from.UserAgent))
	h.Set(&h.RequestID, from.Bytes(from.RequestID))
	h.Set(&h.TraceState, from.Bytes(from.TraceState))
	if len(f.Record) > 0 {
		f.recordFields(h, &to.Request, false)
	}
	host := a.hostFor(&x.Request)
	if host == "" || host == "endpoint" {
		host = string(x.Request.Host())
	}
	if host != "" {
		to.Request.Replace(message.Host, shadowHost(host))
	}
	to.Hop, to.Began = h, f.Shared.At(h.Start)
	to.Trace, to.Stranger = x.Trace, x.Stranger
	to.Trace.Inside = true // its failure is none of a request that entered the mesh
	to.Connect(s, s.content, s)
	to.Begin(f.Context, f)
	to.Route = m.Route
	f.Active.Add(1)
	return s
}

// shadowHost is the host that copies are sent with: as Envoy does, with -shadow at the end of
// the name, so that logs of the endpoint tell them apart. An IPv6 address stays as it is.
func shadowHost(host string) string {
	name, port := message.SplitPort(host)
	switch {
	case strings.HasSuffix(name, "]"):
		return host
	case port != "":
		return name + "-shadow:" + port
	}
	return name + "-shadow"
}

// run sends the copy, and records how it ended. It waits with that for the request itself,
// since the span that this is known by depends on how many attempts it takes.
func (s *shadow) run(f *Forwarder, o *original) {
	x := &s.x
	err := s.send(f)
	if err != nil {
		err = f.answer(x, fault.AnswerTo(err))
	}
	h := x.Hop
	h.BytesIn = s.content.close()
	if h.End == 0 {
		h.End = now(h)
	}
	x.Active.Leave()
	s.mirror.active.Add(-1)
	<-o.ended
	h.Parent = o.span
	f.finish(x, err)
	f.Active.Add(-1)
}

// send takes the copy to its cluster, and reads the response.
func (s *shadow) send(f *Forwarder) (err error) {
	x := &s.x
	defer f.rescue(x, "a mirrored request", &err)
	return s.mirror.Route.Action.act(f, x)
}

// Info and the methods that follow implement [filter.Conn].
func (s *shadow) Info() *filter.ConnInfo { return &s.info }

// Gone reports whether the copy is given up because its content does not come. The endpoint
// may have stopped to read before: then nobody asks for the content.
func (s *shadow) Gone() func() bool { return s.content.lost }

// Left is why.
func (s *shadow) Left() error { return s.content.why() }

// Detach is not called: a copy changes no protocols.
func (s *shadow) Detach() netio.Duplex { panic("forward: a copy of a request became a tunnel") }

// Interim and the methods that follow implement [filter.Writer]: they throw the response
// away.
func (s *shadow) Interim(*message.Head) error { return nil }

// Head begins the response.
func (s *shadow) Head(*message.Head) error {
	s.began = true
	return nil
}

// Content counts the content.
func (s *shadow) Content(piece []byte) error {
	s.x.Hop.BytesOut += int64(len(piece))
	return nil
}

// Flush has nothing to send.
func (s *shadow) Flush() error { return nil }

// End ends the response.
func (s *shadow) End(*message.Head) error { return nil }

// Began reports whether there is a response.
func (s *shadow) Began() bool { return s.began }

// Cut has nobody to tell.
func (s *shadow) Cut() {}
