package grpcweb

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
)

// New returns the filter. Requests that are no gRPC-Web calls pass it by.
func New() filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if !grpc.IsWeb(&x.Request) {
				return next(x)
			}
			return translate(x, next)
		}
	}
}

// translate carries out a gRPC-Web call as a gRPC call. An answer of the proxy's own is
// translated, too.
func translate(x *filter.Exchange, next filter.Handler) error {
	r := &x.Request
	value, _ := r.Get(message.ContentType)
	codec, text, _ := grpc.WebContent(value)
	w := filter.Reuse[response](x)
	w.Writer, w.text = x.Writer, wantsText(r, text)
	x.Writer = w
	if text {
		if err := decodeText(x); err != nil {
			return err
		}
	}
	r.Replace(message.ContentType, "application/grpc"+string(codec))
	r.Replace(message.TE, "trailers")
	askForIdentity(r)
	return next(x)
}

// wantsText reports whether the answer is to be in base64: by Accept, where that
// names a type of gRPC-Web, else as the request is. Accept is made gRPC's then.
func wantsText(r *message.Head, otherwise bool) bool {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Removed || !message.EqualFold(r.Bytes(f.Name), "accept") {
			continue
		}
		for one := range bytes.SplitSeq(r.Bytes(f.Value), []byte{','}) {
			if _, text, ok := grpc.WebContent(bytes.TrimSpace(one)); ok {
				f.Value = r.Own("application/grpc")
				return text
			}
		}
	}
	return otherwise
}

// askForIdentity keeps endpoints from compressing messages, unless the client
// has said that it can read them: browsers can't.
func askForIdentity(r *message.Head) {
	const field = "grpc-accept-encoding"
	if _, ok := r.Lookup(field); !ok {
		r.Add(message.Unknown, field, "identity")
	}
}
