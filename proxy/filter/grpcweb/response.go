package grpcweb

import (
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
)

// response makes the response of a gRPC call one of a gRPC-Web call.
type response struct {
	filter.Writer
	text    bool // in base64
	kind    kind
	encoder encoder
	out     []byte // what is to be sent next
}

// kind is what sort of response there is.
type kind uint8

const (
	// other passes by: the head has not come yet, or it is no gRPC-Web.
	other kind = iota
	// streamed has content, and trailers that go into it.
	streamed
	// bare has the status in its head, and no content that the client may see.
	bare
)

// Head begins the response. That of gRPC becomes one of gRPC-Web; of any other,
// such as an error page, the client gets no more than the status that gRPC's
// clients would make of it.
func (w *response) Head(h *message.Head) error {
	w.encoder, w.out = encoder{}, w.out[:0] // another head may have been here
	if h.Framing == message.Tunnel {
		w.kind = other
		return w.Writer.Head(h)
	}
	value, _ := h.Get(message.ContentType)
	_, _, ended := grpc.Status(h)
	codec := "+proto"
	switch call := grpc.IsContent(value); {
	case call && !(ended && !h.HasBody()):
		w.kind = streamed
	case call || ended:
		w.kind = bare
	default:
		w.kind = bare
		status := grpc.OfHTTP(h.Status)
		h.Add(message.GRPCStatus, message.GRPCStatus.String(), strconv.Itoa(status.Code()))
		text := strings.TrimSpace("the answer is no gRPC: HTTP status " + strconv.Itoa(h.Status) + " " + http.StatusText(h.Status))
		h.EndField(message.GRPCMessage, grpc.AppendMessage(h.BeginField(message.GRPCMessage.String()), text))
	}
	if c := grpc.Codec(value); len(c) > 0 {
		codec = string(c)
	}
	if w.text {
		codec = "-text" + codec
	}
	h.Replace(message.ContentType, "application/grpc-web"+codec)
	h.Remove(message.ContentLength)
	h.Remove(message.Trailer)
	h.Framing, h.Length = message.Chunked, -1
	if w.kind == bare {
		h.Framing, h.Length = message.ByLength, 0
	}
	return w.Writer.Head(h)
}

// Content sends a piece of the response's content.
func (w *response) Content(piece []byte) error {
	switch {
	case w.kind == bare:
		return nil
	case w.kind == other || !w.text:
		return w.Writer.Content(piece)
	}
	w.out = w.encoder.append(w.out[:0], piece)
	return w.send()
}

// Flush sends what was kept back, so that the client can decode all of it.
func (w *response) Flush() error {
	w.out = w.encoder.flush(w.out[:0])
	if err := w.send(); err != nil {
		return err
	}
	return w.Writer.Flush()
}

// send sends what is in out, if anything is.
func (w *response) send() error {
	if len(w.out) == 0 {
		return nil
	}
	return w.Writer.Content(w.out)
}

// End ends the response: trailers are the last frame of its content.
func (w *response) End(trailers *message.Head) error {
	if w.kind == other {
		return w.Writer.End(trailers)
	}
	if w.kind == streamed && trailers != nil {
		frame := appendTrailers(nil, trailers)
		w.out = frame
		if w.text {
			w.out = w.encoder.flush(w.encoder.append(nil, frame))
		}
	} else {
		w.out = w.encoder.flush(w.out[:0])
	}
	if err := w.send(); err != nil {
		return err
	}
	return w.Writer.End(nil)
}

// trailersFrame is the first byte of the frame that holds the trailers, not
// compressed.
const trailersFrame = 0x80

// appendTrailers appends the trailers as a frame: a flag, the length in four
// bytes, and a line for each, its name in lower case.
func appendTrailers(dst []byte, trailers *message.Head) []byte {
	dst = append(dst, trailersFrame, 0, 0, 0, 0)
	start := len(dst)
	for i := range trailers.Fields {
		f := &trailers.Fields[i]
		if f.Removed {
			continue
		}
		for _, c := range trailers.Bytes(f.Name) {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
		}
		dst = append(append(dst, ": "...), trailers.Bytes(f.Value)...)
		dst = append(dst, "\r\n"...)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}
