package forward

import (
	"fmt"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
)

// mostInterim is how many interim responses (1xx) an endpoint may send to one
// request. A server that says 102 every 20 s, as WebDAV has it, can do so for half an
// hour.
const mostInterim = 100

// final relays interim responses until the final response comes, or 101. An endpoint
// could send them without end, so there is a limit on their number, and one on the bytes
// of all of them together: max_header_bytes.
func (a *attempt) final() error {
	x, r := a.x, &a.x.Response
	count, size, most := 0, 0, a.d.target.Cluster.Connections(a.d.action.Priority).HeadBytes()
	for r.Status < 200 && r.Framing != message.Tunnel {
		count++
		size += sizeOf(r)
		switch {
		case count > mostInterim:
			return tooManyInterim(x, fmt.Sprintf("more than %d interim responses (1xx) to one request", mostInterim))
		case size > most:
			return tooManyInterim(x, fmt.Sprintf("interim responses (1xx) of more than %d bytes to one request (max_header_bytes)", most))
		}
		if r.Status == 100 {
			uninvite(&x.Request)
		}
		http1.StripHopByHop(r)
		if err := x.Writer.Interim(r); err != nil {
			return err
		}
		if err := a.stream.ReadHead(x.Request.Method, r); err != nil {
			return err
		}
	}
	return nil
}

func tooManyInterim(x *filter.Exchange, what string) error {
	return fault.New(fault.UpstreamProtocol, x.Hop.LastAttempt().Endpoint+" sent "+what)
}

// sizeOf is how many bytes a response head takes in HTTP/1, without its reason.
func sizeOf(h *message.Head) int {
	size := len("HTTP/1.1 100 \r\n\r\n")
	for i := range h.Fields {
		f := &h.Fields[i]
		size += len(h.Bytes(f.Name)) + len(": ") + len(h.Bytes(f.Value)) + len("\r\n")
	}
	return size
}
