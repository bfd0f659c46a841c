package headers

import (
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Our own parameters say who is at fault, as in [hop.Failure].
const (
	FailedHop      = "hopscope-failed-hop"      // the service, a String
	FailedPart     = "hopscope-failed-part"     // the part of it, a Token
	FailedKind     = "hopscope-failed-kind"     // what happened, a Token
	FailedCaller   = "hopscope-failed-caller"   // the service that met it, a String
	FailedEndpoint = "hopscope-failed-endpoint" // the instance's address, a String
	FailedInferred = "hopscope-failed-inferred" // a Boolean: it is no fact

	// Recovered, a Boolean, says that the failure did not fail the request, and Took, an
	// Integer, how many milliseconds it took.
	Recovered = "hopscope-recovered"
	Took      = "hopscope-took"
)

// maxText limits a name and a text in a member, in bytes.
const (
	maxName = 128
	maxText = 512
)

// ProxyStatus writes the Proxy-Status member of one service.
type ProxyStatus struct {
	name    any    // httpsfv.Token, or string if the name is not a token
	success []byte // the whole member of a hop on which nothing failed
}

// NewProxyStatus prepares the member of a service. Call it once, when a configuration is
// built. A name that is not a Token of RFC 9651 is sent as a String, without characters
// that a String can't hold.
func NewProxyStatus(service string) *ProxyStatus {
	p := &ProxyStatus{name: httpsfv.Token(service)}
	text, err := httpsfv.Marshal(httpsfv.NewItem(p.name))
	if err != nil || len(service) > maxName {
		name := ascii(service, maxName)
		p.name = name
		text, err = httpsfv.Marshal(httpsfv.NewItem(name))
	}
	if err != nil { // not reached: ascii makes every value valid
		text = `"hopscope"`
	}
	p.success = []byte(text)
	return p
}

// Append appends this hop's member. If nothing failed, that is only the name, and Append
// allocates nothing. Call it when the response's head is sent: the hop's Status, Flags,
// ProxyError, Details, Failure, Recovered and Attempts must be set. An inbound hop that
// went well in spite of a failure names it, and says so.
//
// A failed hop says "error" only if this proxy made the failure, and
// "received-status" only if a response came from upstream (RFC 9209 section
// 2.1).
func (p *ProxyStatus) Append(dst []byte, h *hop.Hop) []byte {
	var m httpsfv.Item
	switch {
	case h.Failed() || h.ProxyError != "" || h.Failure.Origin != hop.OriginNone:
		m = p.member(h)
	case h.Recovered != nil && h.Labels.Direction == hop.Inbound: // others got it from there
		m = p.recovered(h.Recovered)
	default:
		return append(dst, p.success...)
	}
	text, err := httpsfv.Marshal(m)
	if err != nil { // not reached: every value is valid
		return append(dst, p.success...)
	}
	return append(dst, text...)
}

func (p *ProxyStatus) member(h *hop.Hop) httpsfv.Item {
	m := httpsfv.NewItem(p.name)
	if h.ProxyError != "" {
		m.Params.Add("error", httpsfv.Token(h.ProxyError))
	}
	if a := h.LastAttempt(); a != nil {
		if a.Status >= 100 && a.Status <= 999 {
			m.Params.Add("received-status", int64(a.Status))
		}
		if a.Endpoint != "" {
			m.Params.Add("next-hop", ascii(a.Endpoint, maxName))
		}
	}
	if text := details(h); text != "" {
		m.Params.Add("details", ascii(text, maxText))
	}
	addFailure(m.Params, &h.Failure)
	return m
}

// recovered is the member of a hop that went well in spite of a failure.
func (p *ProxyStatus) recovered(r *hop.Recovered) httpsfv.Item {
	m := httpsfv.NewItem(p.name)
	m.Params.Add(Recovered, true)
	m.Params.Add(Took, max(r.Took.Milliseconds(), 0))
	m.Params.Add("details", ascii("recovered"+reasonMark+r.Reason, maxText))
	addFailure(m.Params, &r.Failure)
	return m
}

func addFailure(to *httpsfv.Params, f *hop.Failure) {
	text := func(name, value string) {
		if value != "" {
			to.Add(name, ascii(value, maxName))
		}
	}
	text(FailedHop, f.Hop)
	if f.Part != hop.PartUnknown {
		to.Add(FailedPart, httpsfv.Token(f.Part.String()))
	}
	if f.Kind != "" {
		to.Add(FailedKind, httpsfv.Token(f.Kind))
	}
	text(FailedCaller, f.Caller)
	text(FailedEndpoint, f.Endpoint)
	if f.Inferred {
		to.Add(FailedInferred, true)
	}
}

// details returns "FLAGS details: reason", without empty parts.
func details(h *hop.Hop) string {
	head := strings.TrimSpace(h.Flags.String() + " " + h.Details)
	switch {
	case head == "":
		return h.Failure.Reason
	case h.Failure.Reason == "":
		return head
	}
	return head + reasonMark + h.Failure.Reason
}

// reasonMark separates the codes from the sentence in our details.
const reasonMark = ": "

// ascii makes s valid as a String of RFC 9651 section 3.3.3: printable ASCII, at most
// limit bytes.
func ascii(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit-3] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
