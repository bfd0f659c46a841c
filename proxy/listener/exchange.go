package listener

import (
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// exchange is the memory that a request needs. A connection borrows it for each request, so
// an idle connection is small, and a busy proxy works on warm memory.
type exchange struct {
	filter.Exchange
	decoder http1.HeadDecoder
	content http1.BodyDecoder
	request
	buffer [outSize]byte
}

// request is the state that is reset for each request.
type request struct {
	asked
	size     int             // of the head
	given    bool            // Next has returned the content, which was whole
	whole    bool            // all of the content is in the read buffer, behind the head
	copied   bool            // the head was moved out of the read buffer
	bodyDone bool            // the content was read to its end
	invited  bool            // the client was sent 100 Continue
	began    bool            // a final response has begun
	sent     bool            // bytes of it were sent
	ended    bool            // the final response has ended
	sends    message.Framing // how the response's content is framed
	out      []byte          // response bytes that are kept back, in buffer as long as they fit
}

// asked is what the decoded request head said about its connection. The connection goes by
// this copy: filters may change the head, and that must not change how the next bytes on
// the connection are read.
type asked struct {
	version hop.Version
	framing message.Framing
	length  int64 // of the content; 0 for none, or if it is not known
	close   bool
	expect  bool
}

func askedBy(r *message.Head) asked {
	return asked{version: r.Version, framing: r.Framing, length: max(r.Length, 0), close: r.Close, expect: r.Expect}
}

// outSize is how many response bytes may be kept back to be sent in one call: a head and a
// small body.
const outSize = 4 << 10

// borrow takes an exchange from the pool, or makes one.
func (l *Listener) borrow() *exchange {
	if x, ok := l.exchanges.Get().(*exchange); ok {
		return x
	}
	return &exchange{decoder: http1.HeadDecoder{Limits: l.Limits}}
}

// giveBack resets an exchange and returns it to the pool.
func (l *Listener) giveBack(x *exchange) {
	x.Disconnect()
	x.request = request{}
	x.decoder.Reset()
	x.Request.Reset()
	x.Response.Reset()
	l.exchanges.Put(x)
}
