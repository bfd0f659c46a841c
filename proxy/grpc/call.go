package grpc

import "github.com/hopscope/hopscope/proxy/message"

// The media types. What may follow them is "+" and the name of a codec, or ";"
// and parameters.
const (
	contentType        = "application/grpc"
	webContentType     = "application/grpc-web"
	webTextContentType = "application/grpc-web-text"
)

// IsCall reports whether a request is a gRPC call: a POST whose content is of
// the type application/grpc, or of that with a codec, as application/grpc+proto.
func IsCall(h *message.Head) bool {
	if h.Method != message.POST {
		return false
	}
	value, ok := h.Get(message.ContentType)
	return ok && IsContent(value)
}

// IsContent reports whether the value of a Content-Type field is gRPC's.
func IsContent(value []byte) bool {
	_, ok := cut(value, contentType)
	return ok
}

// IsWeb reports whether a request is a gRPC-Web call.
func IsWeb(h *message.Head) bool {
	if h.Method != message.POST {
		return false
	}
	value, _ := h.Get(message.ContentType)
	_, _, ok := WebContent(value)
	return ok
}

// WebContent takes the value of a Content-Type field, or one media type of an
// Accept field, of gRPC-Web apart: codec is what follows with its "+", as
// "+proto", or empty, and text is true where the content is in base64. ok is
// false where the type is another.
func WebContent(value []byte) (codec []byte, text, ok bool) {
	if codec, ok = cut(value, webTextContentType); ok {
		return codec, true, true
	}
	codec, ok = cut(value, webContentType)
	return codec, false, ok
}

// Codec is the codec that a Content-Type of gRPC names, with its "+", as
// "+proto"; it is empty where there is none.
func Codec(value []byte) []byte {
	codec, _ := cut(value, contentType)
	return codec
}

// cut takes the media type off the value. What is left is empty or begins with
// "+"; parameters are dropped. ok is false where the type is another.
func cut(value []byte, mediaType string) (codec []byte, ok bool) {
	n := len(mediaType)
	if len(value) < n || !message.EqualFold(value[:n], mediaType) {
		return nil, false
	}
	rest := value[n:]
	end := 0
	for end < len(rest) && rest[end] != ';' && rest[end] != ' ' && rest[end] != '\t' {
		end++
	}
	codec = rest[:end]
	return codec, end == 0 || codec[0] == '+'
}
