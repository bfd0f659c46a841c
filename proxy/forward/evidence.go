package forward

import (
	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The flags of attempts about which the kernel is asked.
const (
	gaveUp = hop.UpstreamTimeout | hop.StreamIdleTimeout | hop.DownstreamClosed | hop.DownstreamReset
	broke  = hop.UpstreamConnectionClosed | hop.UpstreamReset
)

// examine asks the kernel about an attempt that failed or was slow, and writes the answer
// into its record. The attempt has ended, but its connection is still open.
func (a *attempt) examine() {
	h, k := a.x.Hop, a.d.f.Kernel
	record := h.LastAttempt()
	slow := h.Labels.Slow > 0 && record.End-record.Start >= h.Labels.Slow && h.Kind == hop.KindRequest
	switch {
	case !slow && record.Flags == 0:
	case a.stream != nil:
		record.Evidence = evidence.Join(record.Evidence, a.examineConnection(k, record))
	case record.Evidence != "": // of a connection that did not come about
	case record.ProxyError == "connection_refused", record.ProxyError == "connection_timeout", record.ProxyError == "http_response_timeout":
		record.Evidence = k.Address(record.Endpoint)
	}
}

// examineConnection asks about the connection that the attempt has.
func (a *attempt) examineConnection(k *evidence.Kernel, record *hop.Attempt) string {
	about := evidence.Attempt{
		Who: "the endpoint", Sent: a.sentWhole(),
		Answered: record.FirstByte > 0, Waited: record.End - record.Sent,
	}
	if a.x.Hop.Labels.Direction == hop.Inbound {
		about.Who = "the application"
	}
	switch {
	case record.Flags&gaveUp != 0 && record.ProxyError != "http_request_error": // else the client was silent
		about.Outcome = evidence.GaveUp
	case record.Flags&broke != 0:
		about.Outcome = evidence.Broke
	case record.Flags == 0:
		about.Outcome = evidence.Slow
	default:
		return ""
	}
	return k.Connection(a.stream.NetConn(), about)
}

// sentWhole reports whether the whole request was sent.
func (a *attempt) sentWhole() bool {
	if a.upload != nil {
		return a.upload.all.Load()
	}
	return a.begun
}
