package collector

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// grpcSender sends over OTLP/gRPC.
type grpcSender struct {
	conn    *grpc.ClientConn
	method  string
	headers metadata.MD
	options []grpc.CallOption
}

func newGRPCSender(signal Signal, at endpoint, o Options) (*grpcSender, error) {
	creds := insecure.NewCredentials()
	if o.TLS != nil {
		creds = freshTLS{credentials.NewTLS(o.TLS()), o.TLS}
	}
	conn, err := grpc.NewClient(at.address,
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("hopscope"),
		// The environment's proxy may be this very process, and each export would make new
		// spans to export.
		grpc.WithNoProxy(),
		// gRPC's own back-off grows to two minutes, too long to wait after the collector
		// came back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
	if err != nil {
		return nil, err
	}
	s := &grpcSender{conn: conn, method: signal.method(), headers: metadata.New(o.Headers)}
	if o.Gzip {
		s.options = append(s.options, grpc.UseCompressor(gzip.Name))
	}
	return s, nil
}

func (s *grpcSender) send(ctx context.Context, request, response proto.Message) error {
	err := s.conn.Invoke(metadata.NewOutgoingContext(ctx, s.headers), s.method, request, response, s.options...)
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	after, asked := retryInfo(st)
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
	case codes.ResourceExhausted:
		if !asked { // it can't recover
			return err
		}
	default:
		return err
	}
	return &retryable{err, after}
}

// retryInfo returns how long the collector asks to wait, and whether it says anything
// about that.
func retryInfo(s *status.Status) (after time.Duration, ok bool) {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

func (s *grpcSender) close() error { return s.conn.Close() }

// freshTLS makes each connection with the configuration of the moment, since certificates
// change.
type freshTLS struct {
	credentials.TransportCredentials
	config func() *tls.Config
}

// ClientHandshake implements [credentials.TransportCredentials].
func (f freshTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(f.config()).ClientHandshake(ctx, authority, conn)
}

// Clone implements [credentials.TransportCredentials].
func (f freshTLS) Clone() credentials.TransportCredentials {
	return freshTLS{f.TransportCredentials.Clone(), f.config}
}
