package app

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// raw takes messages as they are: what they say does not matter.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no message", v)
	}
	return *b, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no message", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

// grpcServer answers every unary method.
func (a *App) grpcServer() *grpc.Server {
	return grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		var message []byte
		if err := s.RecvMsg(&message); err != nil {
			return err
		}
		md, _ := metadata.FromIncomingContext(s.Context())
		first := func(name string) string {
			if values := md.Get(name); len(values) > 0 {
				return values[0]
			}
			return ""
		}
		ctx, cancel := a.context(s.Context())
		defer cancel()
		err := a.serve(ctx, a.trouble.Load().(Trouble), request{"GET", first("traceparent"), first("tracestate"), first(expected)})
		if failed, ok := errors.AsType[*callError](err); ok {
			return status.Error(codes.Unavailable, failed.Error())
		} else if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		return s.SendMsg(&message)
	}))
}

// dial prepares calls of a service by way of the sidecar.
func dial(sidecar, callee string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+sidecar, grpc.WithAuthority(callee), grpc.WithNoProxy(), grpc.WithDisableRetry(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
}

func invoke(ctx context.Context, conn *grpc.ClientConn, r request, callee string) error {
	if r.traceparent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", r.traceparent)
	}
	if r.tracestate != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "tracestate", r.tracestate)
	}
	message := []byte{}
	return conn.Invoke(ctx, "/mesh."+callee+"/Get", &message, &message)
}
