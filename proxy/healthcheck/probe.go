package healthcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
)

// most is how many bytes of an answer are checked.
const most = 64 << 10

// prober probes one endpoint, one probe at a time. Close is called when no probe is under
// way.
type prober interface {
	probe(ctx context.Context) Result
	close()
}

// TLSConfig returns the TLS configuration for a host, a name or an IP address, as
// tlsconf's Client.Config does. A nil TLSConfig means plain text.
type TLSConfig func(host string) *tls.Config

// Check probes an endpoint once, on a new connection. It returns an error only for
// invalid options; everything else is in the Result.
func Check(ctx context.Context, address string, o Options, config TLSConfig) (Result, error) {
	complete, err := o.complete()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newProber(ctx, address, complete, config)
	defer p.close()
	return timed(ctx, p, complete.Timeout), nil
}

// timed probes within the timeout, and measures how long that takes.
func timed(ctx context.Context, p prober, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	r := p.probe(ctx)
	r.Took = time.Since(start)
	return r
}

// newProber returns the prober of an endpoint. What it opens ends with ctx.
func newProber(ctx context.Context, address string, o *Options, config TLSConfig) prober {
	t := target{ctx: ctx, address: address, timeout: o.Timeout, config: config}
	if host, _, err := net.SplitHostPort(address); err == nil && o.Port != 0 {
		t.address = net.JoinHostPort(host, strconv.Itoa(o.Port))
	}
	switch {
	case o.HTTP != nil:
		return newHTTP(t, o)
	case o.GRPC != nil:
		return &grpcProber{target: t, check: o.GRPC, once: o.CloseConnection}
	}
	return &tcpProber{target: t, check: o.TCP}
}

// target is where a check connects to.
type target struct {
	ctx     context.Context // of the endpoint: ends when it is removed
	address string
	timeout time.Duration
	config  TLSConfig
}

func (t *target) dial(ctx context.Context) (net.Conn, error) {
	return descriptors.Dialer(descriptors.Limit, nil).DialContext(ctx, "tcp", t.address)
}

// handshake encrypts a connection. protocols are offered by ALPN; nil offers those of the
// configuration. It closes the connection if the handshake fails.
func (t *target) handshake(ctx context.Context, plain net.Conn, protocols []string) (*tls.Conn, error) {
	conn := tls.Client(plain, t.clientConfig(protocols))
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, &handshakeError{err}
	}
	return conn, nil
}

// encrypted turns a nil *tls.Conn into a nil net.Conn.
func encrypted(conn *tls.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (t *target) clientConfig(protocols []string) *tls.Config {
	host, _, err := net.SplitHostPort(t.address)
	if err != nil {
		host = t.address
	}
	config := t.config(host).Clone()
	if protocols != nil {
		config.NextProtos = protocols
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// failed returns the Result of a probe without an answer. After the timeout, the timeout
// is the reason, whatever error it led to. A shortage on this machine is not the
// endpoint's failure.
func (t *target) failed(ctx context.Context, what string, err error) Result {
	if s, remedy := descriptors.OfDial(err); s != descriptors.None {
		return Result{Outcome: NotMade, Detail: what + ": not probed: " + remedy}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return Result{Outcome: Failed, Detail: what + ": " + t.explain(err)}
}

// explain says in words why there was no answer.
func (t *target) explain(err error) string {
	timeout, isNet := errors.AsType[net.Error](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	handshake, isTLS := errors.AsType[*handshakeError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isNet && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", t.timeout)
	case isDNS:
		return "its name could not be resolved: " + dns.Err
	case isTLS:
		return "the TLS handshake failed: " + handshake.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it reset the connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection before it had answered"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it"
	case isOp:
		return op.Err.Error()
	}
	return err.Error()
}
