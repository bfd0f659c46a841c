package http2

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// asked is what a client must remember of a request, to understand the response.
type asked struct {
	method   message.Method
	protocol []byte // of an extended CONNECT, else empty
}

// endResponse makes a response of the list. ended tells that nothing follows.
func (l *headerList) endResponse(to *asked, ended bool) {
	l.end()
	h := &l.dest.head
	h.Status = l.status
	success := h.Status >= 200 && h.Status < 300
	switch {
	case l.seen&pseudoStatus == 0:
		l.bad(fault.BadRequest, "no :status")
	case h.Status == 101:
		l.bad(fault.BadRequest, ":status 101, which HTTP/2 does not have")
	case h.Status < 200 && ended:
		l.bad(fault.BadRequest, "an interim response that ends the stream")
	case h.Status < 200:
	case success && len(to.protocol) > 0:
		h.Status, h.Upgrade = 101, true
		h.EndField(message.Upgrade, append(h.BeginField(message.Upgrade.String()), to.protocol...))
		h.Framing, h.Length = message.Tunnel, -1
	case success && to.method == message.CONNECT:
		h.Framing, h.Length = message.Tunnel, -1
	case to.method == message.HEAD || h.Status == 304:
		h.Length = l.length // what a GET would have got
	case h.Status == 204: // and what a Content-Length says is of no content (RFC 9113 section 8.1.1)
	case ended:
		if l.length > 0 {
			l.bad(fault.BadFraming, "Content-Length announces content and none follows")
		}
	case l.length >= 0:
		h.Framing, h.Length = message.ByLength, l.length
	default:
		h.Framing, h.Length = message.Chunked, -1
	}
}
