package listener

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// TestDrainAtTheSwitch: a connection that is drained at the moment in which
// another takes its place is the other's to drain: what ended the waits of the
// first is not left to end those of the second, over and over.
func TestDrainAtTheSwitch(t *testing.T) {
	l, _ := newTestListener(t, nil)
	client := dial(t, l)
	nc, err := l.socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	nio := netio.New(nc, l.Shared)
	defer nio.Done()
	old := newHTTP1(l, nio, l.newInfo(nc, 1))
	l.conns[old] = struct{}{}
	l.StopAccepting()
	next := newHTTP2(l, nio, old.info)
	l.replace(old, next, nio)
	time.AfterFunc(20*time.Millisecond, func() { client.Write([]byte("PRI")) })
	now := nio.Now()
	nio.Await(now, now+patience)
	if err := nio.Fill(); err != nil {
		t.Errorf("a wait ended: %v", err)
	}
	next.conn.Abort()
}
