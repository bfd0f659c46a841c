package healthcheck

import (
	"context"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type grpcProber struct {
	target
	check *GRPC
	once  bool
	conn  *grpc.ClientConn // nil while there is none
	// undialled is why the last connection could not be made. gRPC has the reason only in
	// the text of its error.
	undialled atomic.Pointer[error]
}

func (p *grpcProber) close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

func (p *grpcProber) probe(ctx context.Context) Result {
	name := "grpc health of " + p.address
	if p.check.ServiceName != "" {
		name = "grpc health of " + p.check.ServiceName + " on " + p.address
	}
	if p.conn == nil {
		conn, err := p.open()
		if err != nil {
			return p.failed(ctx, name, err)
		}
		p.conn = conn
	}
	p.undialled.Store(nil)
	answer, err := healthpb.NewHealthClient(p.conn).Check(ctx, &healthpb.HealthCheckRequest{Service: p.check.ServiceName})
	if err != nil || p.once {
		// Do not keep a connection that may be lost: gRPC would back off before it makes
		// another.
		p.close()
	}
	if err != nil {
		return p.unanswered(ctx, name, err)
	}
	r := Result{Detail: name + ": status " + answer.GetStatus().String()}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		r.Outcome = FailedNow
	}
	return r
}

// unanswered tells an error that the server answered with from a call without an answer.
func (p *grpcProber) unanswered(ctx context.Context, name string, err error) Result {
	if undialled := p.undialled.Load(); undialled != nil {
		return p.failed(ctx, name, *undialled)
	}
	if ctx.Err() != nil {
		return p.failed(ctx, name, err)
	}
	s := status.Convert(err)
	r := Result{Outcome: FailedNow, Detail: name + ": status " + s.Code().String() + ", " + s.Message()}
	if s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded {
		r.Outcome = Failed // the connection was lost, or a server says the same
	}
	return r
}

// open makes a client that connects with its first call.
func (p *grpcProber) open() (*grpc.ClientConn, error) {
	secure := insecure.NewCredentials()
	if p.config != nil {
		secure = told{credentials.NewTLS(p.clientConfig(nil)), p}
	}
	authority := p.address
	if p.check.Authority != "" {
		authority = p.check.Authority
	}
	return grpc.NewClient("passthrough:///"+p.address,
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(p.connect),
		grpc.WithAuthority(authority),
		grpc.WithUserAgent(userAgent),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithDisableHealthCheck(),
		grpc.WithIdleTimeout(0), // checks may be a minute or more apart
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(most)),
	)
}

// connect dials, and remembers why it could not.
func (p *grpcProber) connect(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := p.dial(ctx)
	p.remember(ctx, err)
	return conn, err
}

// remember keeps an error, unless it only says that the call has ended.
func (p *grpcProber) remember(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.undialled.Store(&err)
	}
}

// told wraps credentials and remembers why a handshake failed.
type told struct {
	credentials.TransportCredentials
	prober *grpcProber
}

// ClientHandshake is part of [credentials.TransportCredentials].
func (t told) ClientHandshake(ctx context.Context, authority string, plain net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, plain)
	if err != nil {
		t.prober.remember(ctx, &handshakeError{err})
	}
	return conn, info, err
}

// Info is part of [credentials.TransportCredentials]. It hides the server name of the
// certificate, since gRPC would use it as the authority.
func (t told) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: t.TransportCredentials.Info().SecurityProtocol}
}

// Clone is part of [credentials.TransportCredentials].
func (t told) Clone() credentials.TransportCredentials {
	return told{t.TransportCredentials.Clone(), t.prober}
}
