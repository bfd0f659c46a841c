package listener

import (
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
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
	size     int  // of the head
	whole    bool // the content has arrived, and lies behind the head
	copied   bool // the head was moved out of the read buffer
	bodyDone bool // the content was read to its end
	invited  bool // the client was told to go on with content that it held back
	began    bool // a final response was
	sent     bool // so were bytes of it
	ended    bool // it was ended
	framing  message.Framing
	out      []byte // what is kept back, in buffer as long as it fits
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
	x.Down = nil
	x.request = request{}
	x.decoder.Reset()
	x.Request.Reset()
	x.Response.Reset()
	l.exchanges.Put(x)
}
