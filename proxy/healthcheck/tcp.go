package healthcheck

import (
	"bytes"
	"context"
	"fmt"
	"net"
)

type tcpProber struct {
	target
	check *TCP
}

func (p *tcpProber) close() {}

func (p *tcpProber) probe(ctx context.Context) Result {
	conn, err := p.dial(ctx)
	if err == nil && p.config != nil {
		conn, err = encrypted(p.handshake(ctx, conn, nil))
	}
	if err != nil {
		return p.failed(ctx, "TCP to "+p.address, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if len(p.check.Send) > 0 {
		if _, err := conn.Write(p.check.Send); err != nil {
			return p.failed(ctx, "sending to "+p.address, err)
		}
	}
	return p.receive(ctx, conn)
}

// receive reads until all blocks have arrived.
func (p *tcpProber) receive(ctx context.Context, conn net.Conn) Result {
	if len(p.check.Receive) == 0 {
		return Result{Detail: p.address + " accepted a connection"}
	}
	var got []byte
	for room := make([]byte, 4<<10); len(got) < most; {
		n, err := conn.Read(room[:min(len(room), most-len(got))])
		got = append(got, room[:n]...)
		if contains(got, p.check.Receive) {
			return Result{Detail: p.address + " sent the expected bytes"}
		}
		if err != nil {
			return p.failed(ctx, fmt.Sprintf("%s sent %d bytes, but not the expected ones", p.address, len(got)), err)
		}
	}
	return Result{Outcome: Failed, Detail: fmt.Sprintf("%s sent %d bytes, but not the expected ones", p.address, len(got))}
}

// contains reports whether all blocks are in b, one after the other.
func contains(b []byte, blocks [][]byte) bool {
	for _, block := range blocks {
		i := bytes.Index(b, block)
		if i < 0 {
			return false
		}
		b = b[i+len(block):]
	}
	return true
}
