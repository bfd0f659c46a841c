package als

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// exporter keeps one stream to the service, and opens another when that ends. It implements
// [delivery.Exporter].
type exporter struct {
	address    string
	timeout    time.Duration
	identifier *alspb.StreamAccessLogsMessage_Identifier
	conn       *grpc.ClientConn
	client     alspb.AccessLogServiceClient

	stream  alspb.AccessLogService_StreamAccessLogsClient // nil for none
	cancel  context.CancelFunc                            // of the stream
	batches int                                           // that were sent on the stream
	sent    int                                           // entries of all of them
	last    int                                           // entries of the last of them
	refused bool                                          // the last stream was refused
	lost    atomic.Uint64                                 // entries that were sent, and refused
}

func newExporter(o Options, id *alspb.StreamAccessLogsMessage_Identifier) (*exporter, error) {
	creds := insecure.NewCredentials()
	if o.TLS {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	conn, err := grpc.NewClient(o.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("hopscope"),
		grpc.WithNoProxy(), // the environment's proxy may be this very process
		// gRPC's own back-off grows to two minutes, too long to wait after the service came
		// back.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 500 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("access log service %s: %w", o.Address, err)
	}
	return &exporter{address: o.Address, timeout: o.Timeout, identifier: id, conn: conn, client: alspb.NewAccessLogServiceClient(conn)}, nil
}

// Name implements [delivery.Exporter].
func (e *exporter) Name() string { return "als " + e.address }

// Export sends a batch. If the stream has ended meanwhile, as when the service was started
// anew, it is sent on another one, unless the service does not want it.
func (e *exporter) Export(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	fresh := e.stream == nil
	err := e.send(ctx, b)
	if err != nil && !fresh && !e.refused && ctx.Err() == nil {
		err = e.send(ctx, b)
	}
	return err
}

// send sends a batch on the stream, which it opens if need be, and gives the stream up on an
// error.
func (e *exporter) send(ctx context.Context, b *batch) error {
	message := &alspb.StreamAccessLogsMessage{}
	if e.stream == nil {
		message.Identifier = e.identifier
		var streaming context.Context
		streaming, e.cancel = context.WithCancel(context.Background())
		stop := context.AfterFunc(ctx, e.cancel) // else opening could wait for ever
		stream, err := e.client.StreamAccessLogs(streaming)
		if stop(); err != nil {
			e.giveUp()
			return e.explain(ctx, err)
		}
		e.stream, e.batches, e.sent = stream, 0, 0
	}
	entries := &alspb.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	// A message marshals unknown fields unchanged, so an ordinary one arrives.
	entries.ProtoReflect().SetUnknown(b.wire)
	message.LogEntries = &alspb.StreamAccessLogsMessage_HttpLogs{HttpLogs: entries}
	defer context.AfterFunc(ctx, e.cancel)() // a service that reads nothing holds the message up
	err := e.stream.Send(message)
	if errors.Is(err, io.EOF) { // it has ended: the answer says why
		if err = e.stream.RecvMsg(&alspb.StreamAccessLogsResponse{}); err == nil || errors.Is(err, io.EOF) {
			err = errors.New("the service ended the stream")
		}
		e.judge(ctx, err)
	}
	if err != nil {
		e.giveUp()
		return e.explain(ctx, err)
	}
	e.batches, e.sent, e.last, e.refused = e.batches+1, e.sent+b.entries, b.entries, false
	return nil
}

// judge finds out whether the service has refused the stream, by why it ended. There are no
// acknowledgements: what seemed to be sent was lost then, all of it if the service did not
// even begin to read, and else the last batch.
func (e *exporter) judge(ctx context.Context, why error) {
	lost := e.last
	switch status.Code(why) {
	case codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied:
		lost = e.sent
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
		return // it was the connection, or the time
	case codes.Unknown: // it may have ended for a good reason, unless it does so each time
		if e.batches > 1 {
			return
		}
	}
	if e.refused = ctx.Err() == nil && e.batches > 0; e.refused {
		e.lost.Add(uint64(lost))
	}
}

// explain says that the time was up, where that is why.
func (e *exporter) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the service took nothing for %v", e.timeout)
	}
	return err
}

func (e *exporter) giveUp() {
	e.cancel()
	e.stream = nil
}

// Close implements [delivery.Exporter]. It waits within ctx until the service has read all
// that was sent.
func (e *exporter) Close(ctx context.Context) error {
	var err error
	if e.stream != nil {
		ctx, cancel := context.WithTimeout(ctx, e.timeout)
		defer cancel()
		defer context.AfterFunc(ctx, e.cancel)()
		switch _, err = e.stream.CloseAndRecv(); {
		case errors.Is(err, io.EOF):
			err = nil // it need not answer
		case err != nil && ctx.Err() == nil:
			e.judge(ctx, err)
		case err != nil:
			err = fmt.Errorf("it is not known whether the service has read all: %w", context.Cause(ctx))
		}
		e.giveUp()
	}
	return errors.Join(err, e.conn.Close())
}
