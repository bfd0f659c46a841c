package forward

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The handshake of a WebSocket has a key and its answer over HTTP/1 (RFC 6455
// section 4), and neither over HTTP/2 (RFC 8441 section 5). Where one side speaks
// the one and the other side the other, the proxy is who has to have them.
const (
	webSocketKey    = "sec-websocket-key"
	webSocketAccept = "sec-websocket-accept"
	webSocketGUID   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// upgrade makes a request that asks to change protocols one that the endpoint can
// be asked. An HTTP/1 endpoint needs the key that an HTTP/2 client did not send.
// HTTP/2 takes a WebSocket, which is asked for without content; any other offer is
// passed over, as a server may (RFC 9110 section 7.8).
func upgrade(x *filter.Exchange, upstream hop.Version) {
	r := &x.Request
	if !r.Upgrade {
		return
	}
	if upstream == hop.HTTP2 {
		r.Upgrade = r.Version == hop.HTTP2 || r.Method == message.GET && isWebSocket(r) && !r.HasBody()
		return
	}
	if r.Version != hop.HTTP2 || !isWebSocket(r) {
		return
	}
	if _, ok := r.Lookup(webSocketKey); ok {
		return
	}
	var nonce [16]byte
	binary.LittleEndian.PutUint64(nonce[:], rand.Uint64())
	binary.LittleEndian.PutUint64(nonce[8:], rand.Uint64())
	r.Add(message.Unknown, webSocketKey, base64.StdEncoding.EncodeToString(nonce[:]))
}

// acceptWebSocket answers the key of an HTTP/1 client for an endpoint that never
// saw it.
func acceptWebSocket(x *filter.Exchange, upstream hop.Version) {
	r := &x.Request
	if upstream != hop.HTTP2 || r.Version != hop.HTTP11 || x.Response.Status != 101 || !isWebSocket(r) {
		return
	}
	key, ok := r.Lookup(webSocketKey)
	if !ok {
		return
	}
	sum := sha1.Sum(append(append([]byte(nil), key...), webSocketGUID...))
	x.Response.RemoveName([]byte(webSocketAccept))
	x.Response.Add(message.Unknown, webSocketAccept, base64.StdEncoding.EncodeToString(sum[:]))
}

func isWebSocket(r *message.Head) bool {
	protocol, ok := r.Get(message.Upgrade)
	return ok && message.EqualFold(protocol, "websocket")
}
