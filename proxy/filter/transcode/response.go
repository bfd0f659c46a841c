package transcode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/httprule"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The media types of responses.
const (
	jsonType   = "application/json"
	linesType  = "application/x-ndjson"
	eventsType = "text/event-stream"
)

// response makes the response to a call one for a client of HTTP. Its head is kept back
// until it is known how the call ends, or until a stream has a message.
type response struct {
	filter.Writer
	*transcoder
	x        *filter.Exchange
	binding  *httprule.Binding
	events   bool // a stream is sent as events
	bodiless bool // the request was HEAD
	raw      bool // messages are google.api.HttpBody
	// own is the proxy's own answer that is to come; nil is none.
	own *fault.Answer

	state    state
	head     *message.Head // while it is kept back
	messages int
	frame    []byte // one that is not whole
	out      []byte // what is to be sent next; of a call without a stream, all of it
	kind     string // the Content-Type of raw content
	held     int    // bytes of frame and out that are counted
}

// state is how far a response is.
type state uint8

const (
	other    state = iota // no head yet, or one that passes as it is
	pending               // the head is kept back
	streamed              // messages are sent as they come
	ended                 // all has been sent
)

// wantsEvents reports whether the client accepts server-sent events.
func wantsEvents(r *message.Head) bool {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Removed || !message.EqualFold(r.Bytes(f.Name), "accept") {
			continue
		}
		for one := range bytes.SplitSeq(r.Bytes(f.Value), []byte{','}) {
			kind, _, _ := bytes.Cut(one, []byte{';'})
			if message.EqualFold(bytes.TrimSpace(kind), eventsType) {
				return true
			}
		}
	}
	return false
}

// printed is the message that the client gets, nil for another kind of field.
func (w *response) printed() protoreflect.MessageDescriptor {
	f := w.binding.ResponseBody
	switch {
	case f == nil:
		return w.binding.Method.Output()
	case f.IsList() || f.IsMap():
		return nil
	}
	return f.Message()
}

// Head begins the response. One that is no gRPC's passes as it is.
func (w *response) Head(h *message.Head) error {
	w.state, w.head, w.messages, w.frame, w.out, w.kind = other, nil, 0, w.frame[:0], w.out[:0], "" // another head may have been here
	value, _ := h.Get(message.ContentType)
	status, text, told := grpc.Status(h)
	if h.Framing == message.Tunnel || !told && !grpc.IsContent(value) {
		return w.Writer.Head(h)
	}
	w.state, w.head = pending, h
	switch {
	case !told || h.HasBody():
		return nil
	case status.Failed() || w.own != nil:
		return w.fail(status, string(text), h)
	case !w.streams():
		return w.broken("the endpoint ended the call with OK and without a message")
	}
	if err := w.begin(0); err != nil {
		return err
	}
	w.state = ended
	return nil
}

// streams reports whether the method answers with a stream.
func (w *response) streams() bool { return w.binding.Method.IsStreamingServer() }

// begin sends the head of a call that goes well, which n bytes of content follow; -1 is
// not known.
func (w *response) begin(n int) error {
	kind := jsonType
	switch {
	case w.raw && w.kind == "":
		kind = "application/octet-stream"
	case w.raw:
		kind = w.kind
	case w.streams() && w.events:
		kind = eventsType
	case w.streams():
		kind = linesType
	}
	w.state = streamed
	return w.Writer.Head(w.ready(http.StatusOK, kind, n))
}

// ready makes the head that was kept back one of a response of HTTP, and returns it.
func (w *response) ready(status int, contentType string, n int) *message.Head {
	h := w.head
	for _, name := range [...]string{"grpc-encoding", "grpc-accept-encoding", detailsField} {
		h.RemoveName([]byte(name))
	}
	for _, id := range [...]message.FieldID{message.ContentLength, message.Trailer, message.GRPCStatus, message.GRPCMessage, message.ContentType} {
		h.Remove(id)
	}
	if contentType != "" {
		h.Add(message.ContentType, "content-type", contentType)
	}
	h.Status, h.Framing, h.Length = status, message.Chunked, -1
	h.SetReason(h.Own(http.StatusText(status)))
	if n >= 0 {
		h.Framing, h.Length = message.ByLength, int64(n)
	}
	w.x.Hop.Status = status
	w.head = nil
	return h
}

// write sends content, which HEAD does not ask for.
func (w *response) write(content []byte) error {
	if w.bodiless || len(content) == 0 {
		return nil
	}
	return w.Writer.Content(content)
}

// detailsField is the field with google.rpc.Status in base64.
const detailsField = "grpc-status-details-bin"

// fail ends a call that failed. from has the status, and may have details of it.
func (w *response) fail(status hop.GRPCStatus, text string, from *message.Head) error {
	var details []byte
	if from != nil {
		details, _ = from.Lookup(detailsField)
	}
	began := w.state == streamed
	w.state = ended
	if began {
		return w.breakOff(w.statusJSON(nil, status.Code(), text, details))
	}
	code := httpStatus(status)
	if w.own != nil {
		if own := w.own.HTTPStatus(); own >= 400 {
			code = own
		}
		if !status.Failed() && w.own.Why != nil {
			status = grpc.OfFault(w.own.Why.Kind)
		}
	}
	if w.ConvertGRPCStatus {
		w.out = w.statusJSON(w.out[:0], status.Code(), text, details)
		if err := w.Writer.Head(w.ready(code, jsonType, len(w.out))); err != nil {
			return err
		}
		return w.write(w.out)
	}
	h := w.ready(code, "", 0)
	h.Add(message.GRPCStatus, message.GRPCStatus.String(), strconv.Itoa(status.Code()))
	h.EndField(message.GRPCMessage, grpc.AppendMessage(h.BeginField(message.GRPCMessage.String()), text))
	return w.Writer.Head(h)
}

// breakOff tells the client of a stream that it ends with a failure. Content that passes as
// it is can't say so: the connection is cut.
func (w *response) breakOff(failure []byte) error {
	switch {
	case w.raw:
		err := w.Writer.Flush() // the client may have what came
		w.Cut()
		return err
	case w.events:
		return w.write(append(append([]byte("event: error\ndata: "), failure...), "\n\n"...))
	}
	return w.write(append(append([]byte(`{"error":`), failure...), "}\n"...))
}

// Content takes a piece of the call's messages.
func (w *response) Content(piece []byte) error {
	switch w.state {
	case other:
		return w.Writer.Content(piece)
	case ended:
		return nil
	}
	for len(piece) > 0 {
		if len(w.frame) == 0 {
			n, err := w.size(piece)
			if err != nil {
				return err
			}
			if n > 0 && len(piece) >= n { // as most are
				if err := w.message(piece[frameHead:n]); err != nil {
					return err
				}
				piece = piece[n:]
				continue
			}
		}
		need := frameHead
		if len(w.frame) >= frameHead {
			need, _ = w.size(w.frame) // it was looked at
		}
		take := min(need-len(w.frame), len(piece))
		w.frame = append(w.frame, piece[:take]...)
		piece = piece[take:]
		if !w.hold() {
			return noMemory()
		}
		n, err := w.size(w.frame)
		if err != nil {
			return err
		}
		if n > 0 && len(w.frame) == n {
			if err := w.message(w.frame[frameHead:]); err != nil {
				return err
			}
			w.frame = w.frame[:0]
		}
	}
	return nil
}

// frameHead is how many bytes are before each message: a flag, and the length.
const frameHead = 5

// size is the size of the frame that b begins with, 0 if that is not known yet.
func (w *response) size(b []byte) (int, error) {
	if len(b) < frameHead {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	switch {
	case b[0] != 0:
		return 0, w.broken("the endpoint's message is compressed, which was not asked for")
	case int64(n) > int64(w.MaxMessage):
		return 0, w.broken(fmt.Sprintf("the endpoint's message has %d bytes, and transcode.max_message is %d", n, w.MaxMessage))
	}
	return frameHead + int(n), nil
}

// hold counts the memory that the response has; false if there is none.
func (w *response) hold() bool {
	more := cap(w.frame) + cap(w.out) - w.held
	if more <= 0 {
		return true
	}
	if !hold(w.x, more) {
		return false
	}
	w.held += more
	return true
}

// message translates a message.
func (w *response) message(b []byte) error {
	if w.messages++; w.messages > 1 && !w.streams() {
		return w.broken("the endpoint sent two messages, and the method has one")
	}
	cost := w.weigh(w.binding.Method.Output(), b, 0)
	if !hold(w.x, cost) {
		return noMemory()
	}
	err := w.translate(b)
	w.x.Release(cost)
	switch {
	case err != nil:
		return w.broken("the endpoint's message can not be written as JSON: " + plain(err).Error())
	case !w.hold():
		return noMemory()
	case !w.streams():
		return nil
	case w.state == pending:
		if err := w.begin(-1); err != nil {
			return err
		}
	}
	return w.write(w.out)
}

// translate puts what the client is to get of a message in out.
func (w *response) translate(b []byte) error {
	m, field := dynamicpb.NewMessage(w.binding.Method.Output()), w.binding.ResponseBody
	if err := w.unmarshal.Unmarshal(b, m); err != nil {
		return err
	}
	w.out = w.out[:0]
	if w.raw {
		body := protoreflect.Message(m)
		if field != nil {
			body = m.Get(field).Message()
		}
		fields := body.Descriptor().Fields()
		w.out = append(w.out, body.Get(fields.ByName(httpBodyData)).Bytes()...)
		if kind := body.Get(fields.ByName(httpBodyType)).String(); isValue(kind) {
			w.kind = kind
		}
		return nil
	}
	if w.streams() && w.events {
		w.out = append(w.out, "data: "...)
	}
	var err error
	w.out, err = w.json(w.out, m, field, w.streams())
	switch {
	case w.streams() && w.events:
		w.out = append(w.out, "\n\n"...)
	case w.streams():
		w.out = append(w.out, '\n')
	}
	return err
}

// isValue reports whether a text may be the value of a field (RFC 9110 section 5.5).
func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// Flush sends what was kept back. A stream's head goes out before its first message if
// the endpoint has sent its own.
func (w *response) Flush() error {
	if w.state == pending {
		if !w.streams() || w.raw {
			return nil
		}
		if err := w.begin(-1); err != nil {
			return err
		}
	}
	return w.Writer.Flush()
}

// End ends the response as the trailers say.
func (w *response) End(trailers *message.Head) error {
	switch w.state {
	case other:
		return w.Writer.End(trailers)
	case ended:
		return w.Writer.End(nil)
	}
	status, text, told := grpc.Status(trailers)
	if !told {
		status, text = hop.GRPCStatusOf(codeUnknown), []byte("the endpoint ended the call without a status")
	}
	switch {
	case status.Failed():
		if err := w.fail(status, string(text), trailers); err != nil {
			return err
		}
	case len(w.frame) > 0:
		return w.broken("the endpoint ended the call within a message")
	case w.state == streamed:
	case w.streams():
		if err := w.begin(0); err != nil {
			return err
		}
	case w.messages == 0:
		return w.broken("the endpoint ended the call with OK and without a message")
	default:
		if err := w.begin(len(w.out)); err != nil {
			return err
		}
		if err := w.write(w.out); err != nil {
			return err
		}
	}
	w.state = ended
	return w.Writer.End(nil)
}

// broken is the failure of an endpoint that broke the rules of gRPC. Its status, if it
// sent one, is not the call's.
func (w *response) broken(why string) error {
	w.x.Hop.GRPCStatus = 0
	return fault.New(fault.UpstreamProtocol, why)
}
