package grpcweb

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
)

// downstream is the client's side of a gRPC-Web call as that of a gRPC call:
// what is not translated goes to the connection as it is. The request's content
// and the response may move at the same time, so they share no field.
type downstream struct {
	filter.Downstream

	// The request.
	textUp  bool
	whole   bool // all of the content was here at once, and is in content
	content []byte
	given   bool // Body returned it
	decoder decoder
	piece   []byte // what Body returned

	// The response.
	textDown bool
	kind     kind
	encoder  encoder
	out      []byte // what is to be sent next
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

// decodeWhole takes the content if all of it is here.
func (d *downstream) decodeWhole() error {
	content, whole := d.Downstream.Whole()
	if !whole {
		return nil
	}
	decoded, err := d.decoder.append(make([]byte, 0, len(content)/4*3), content)
	if err == nil {
		err = d.decoder.end()
	}
	d.whole, d.content = true, decoded
	return err
}

// Whole is the content of the request, decoded, if it is here.
func (d *downstream) Whole() ([]byte, bool) {
	if !d.textUp {
		return d.Downstream.Whole()
	}
	return d.content, d.whole
}

// Body is the next piece of the request's content, decoded.
func (d *downstream) Body() ([]byte, error) {
	if !d.textUp {
		return d.Downstream.Body()
	}
	if d.whole {
		content := d.content
		if d.given || len(content) == 0 {
			return nil, io.EOF
		}
		d.given = true
		return content, nil
	}
	for {
		encoded, err := d.Downstream.Body()
		if errors.Is(err, io.EOF) {
			if malformed := d.decoder.end(); malformed != nil {
				return nil, malformed
			}
		}
		if err != nil {
			return nil, err
		}
		if d.piece, err = d.decoder.append(d.piece[:0], encoded); err != nil {
			return nil, err
		}
		if len(d.piece) > 0 {
			return d.piece, nil
		}
	}
}

// Head begins the response. That of gRPC becomes one of gRPC-Web; of any other,
// such as an error page, the client gets no more than the status that gRPC's
// clients would make of it.
func (d *downstream) Head(h *message.Head) error {
	d.encoder, d.out = encoder{}, d.out[:0] // another head may have been here
	if h.Framing == message.Tunnel {
		d.kind = other
		return d.Downstream.Head(h)
	}
	value, _ := h.Get(message.ContentType)
	_, _, ended := grpc.Status(h)
	codec := "+proto"
	switch call := grpc.IsContent(value); {
	case call && !(ended && !h.HasBody()):
		d.kind = streamed
	case call || ended:
		d.kind = bare
	default:
		d.kind = bare
		status := grpc.OfHTTP(h.Status)
		h.Add(message.GRPCStatus, message.GRPCStatus.String(), strconv.Itoa(status.Code()))
		text := strings.TrimSpace("the answer is no gRPC: HTTP status " + strconv.Itoa(h.Status) + " " + http.StatusText(h.Status))
		h.AddSpan(message.GRPCMessage, message.GRPCMessage.String(), h.Keep(grpc.AppendMessage(h.Scratch(), text)))
	}
	if c := grpc.Codec(value); len(c) > 0 {
		codec = string(c)
	}
	if d.textDown {
		codec = "-text" + codec
	}
	h.Replace(message.ContentType, "application/grpc-web"+codec)
	h.Remove(message.ContentLength)
	h.Remove(message.Trailer)
	h.Framing, h.Length = message.Chunked, -1
	if d.kind == bare {
		h.Framing, h.Length = message.ByLength, 0
	}
	return d.Downstream.Head(h)
}

// Content sends a piece of the response's content.
func (d *downstream) Content(piece []byte) error {
	switch {
	case d.kind == bare:
		return nil
	case d.kind == other || !d.textDown:
		return d.Downstream.Content(piece)
	}
	d.out = d.encoder.append(d.out[:0], piece)
	return d.send()
}

// Flush sends what was kept back, so that the client can decode all of it.
func (d *downstream) Flush() error {
	d.out = d.encoder.flush(d.out[:0])
	if err := d.send(); err != nil {
		return err
	}
	return d.Downstream.Flush()
}

// send sends what is in out, if anything is.
func (d *downstream) send() error {
	if len(d.out) == 0 {
		return nil
	}
	return d.Downstream.Content(d.out)
}

// End ends the response: trailers are the last frame of its content.
func (d *downstream) End(trailers *message.Head) error {
	if d.kind == other {
		return d.Downstream.End(trailers)
	}
	if d.kind == streamed && trailers != nil {
		frame := appendTrailers(nil, trailers)
		d.out = frame
		if d.textDown {
			d.out = d.encoder.flush(d.encoder.append(nil, frame))
		}
	} else {
		d.out = d.encoder.flush(d.out[:0])
	}
	if err := d.send(); err != nil {
		return err
	}
	return d.Downstream.End(nil)
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
