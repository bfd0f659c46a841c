package listener

import (
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// exchange is what a request needs, borrowed while there is one: so an idle
// connection is small, and a busy proxy works on memory that is warm.
type exchange struct {
	filter.Exchange
	decoder http1.HeadDecoder
	content http1.BodyDecoder
	request
	buffer [outSize]byte
}

// request is what begins anew with each request.
type request struct {
	asked
	size     int             // of the head
	given    bool            // Next returned the content, which was whole
	whole    bool            // the content has arrived, and lies behind the head
	copied   bool            // the head was moved out of the read buffer
	bodyDone bool            // the content was read to its end
	invited  bool            // the client was told to go on with content that it held back
	began    bool            // a final response was
	sent     bool            // so were bytes of it
	ended    bool            // it was ended
	sends    message.Framing // how the response's content is framed
	out      []byte          // what is kept back, in buffer as long as it fits
}

// asked is what a request's head said of its connection, as it was decoded. The
// connection goes by this alone: filters may change the head as they like, and what
// follows on the connection must not depend on it.
type asked struct {
	version hop.Version
	framing message.Framing
	length  int64 // of the content, as far as it is known; 0 for none
	close   bool
	expect  bool
}

func askedBy(r *message.Head) asked {
	return asked{version: r.Version, framing: r.Framing, length: max(r.Length, 0), close: r.Close, expect: r.Expect}
}

// outSize is up to how much is kept back, to be sent at once: a head and a
// small body.
const outSize = 4 << 10

// borrow gets what a request needs.
func (l *Listener) borrow() *exchange {
	if x, ok := l.exchanges.Get().(*exchange); ok {
		return x
	}
	return &exchange{decoder: http1.HeadDecoder{Limits: l.Limits}}
}

// giveBack ends its use.
func (l *Listener) giveBack(x *exchange) {
	x.Disconnect()
	x.request = request{}
	x.decoder.Reset()
	x.Request.Reset()
	x.Response.Reset()
	l.exchanges.Put(x)
}
