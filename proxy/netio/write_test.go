package netio_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

func TestWriteTwo(t *testing.T) {
	sizes := [][2]int{{0, 0}, {5, 0}, {0, 5}, {5, 7}, {1, 300_000}, {300_000, 1}, {3 << 20, 2 << 20}}
	each(t, nil, func(t *testing.T, tr transport) {
		for _, size := range sizes {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				r := newRig(t, tr)
				both := pattern(size[0] + size[1])
				wrote := make(chan error, 1)
				r.start(func() {
					wrote <- r.WriteTwo([]byte(both[:size[0]]), []byte(both[size[0]:]))
				})
				if got := r.reads(t, len(both)); got != both {
					t.Error("what arrived is not what was sent")
				}
				if err := <-wrote; err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// TestWriteWithinTurns answers more than the socket takes from within a wait,
// to a peer that reads in small pieces.
func TestWriteWithinTurns(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.WriteTimeout = patience
		r.await(0)
		head, body := pattern(1_000_001), pattern(4<<20)
		r.start(func() {
			defer r.far.Close()
			for range 3 {
				io.WriteString(r.far, "?")
				sum, n := crc32.NewIEEE(), int64(len(head)+len(body))
				if _, err := io.CopyBuffer(sum, onlyReader{io.LimitReader(r.far, n)}, make([]byte, 5003)); err != nil {
					t.Error(err)
				}
				want := crc32.ChecksumIEEE([]byte(head + body))
				if sum.Sum32() != want {
					t.Error("what arrived is not what was sent")
				}
			}
		})
		err := within(t, func() error {
			return r.Turns(func() bool {
				r.Consume(len(r.Buffered()))
				if err := r.WriteTwo([]byte(head), []byte(body)); err != nil {
					t.Error(err)
				}
				return true
			})
		})
		r.wantErr(t, err, io.EOF)
	})
}

// TestBothWaysAtOnce has two Conns send each other a long stream in pieces of
// any size, with both directions under way all the time.
func TestBothWaysAtOnce(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		length := 64 << 20
		if testing.Short() || !tr.socket {
			length = 4 << 20
		}
		one, other := pairOf(t, tr)
		ends := [...]*netio.Conn{one, other}
		type sum struct {
			n   int
			crc uint32
			err error
		}
		sent, received := [2]chan sum{}, [2]chan sum{}
		for i, c := range ends {
			sent[i], received[i] = make(chan sum, 1), make(chan sum, 1)
			c.WriteTimeout = patience
			go func() {
				s := sum{}
				s.n, s.crc, s.err = stream(c, length, uint64(i))
				sent[i] <- s
			}()
			go func() {
				s := sum{}
				for s.n < length && s.err == nil {
					c.Await(c.Now(), c.Now()+patience)
					s.err = c.Fill()
					s.crc = crc32.Update(s.crc, crc32.IEEETable, c.Buffered())
					s.n += len(c.Buffered())
					c.Consume(len(c.Buffered()))
				}
				received[i] <- s
			}()
		}
		for i := range ends {
			out, in := <-sent[i], <-received[1-i]
			if out != in || out.err != nil || out.n != length {
				t.Errorf("direction %d: sent %+v, received %+v", i, out, in)
			}
		}
	})
}

// stream writes length random bytes, and returns how many and their checksum.
func stream(c *netio.Conn, length int, seed uint64) (n int, crc uint32, err error) {
	random := rand.NewChaCha8([32]byte{byte(seed)})
	size, b := rand.New(rand.NewPCG(seed, 7)), make([]byte, 1<<20)
	for n < length && err == nil {
		piece := b[:min(1<<size.IntN(21), length-n)]
		random.Read(piece)
		crc = crc32.Update(crc, crc32.IEEETable, piece)
		cut := size.IntN(len(piece) + 1)
		err = c.WriteTwo(piece[:cut], piece[cut:])
		n += len(piece)
	}
	return n, crc, err
}

// TestWriteTimeout writes to a peer that does not read, and then, when the time
// of that write is long over, to one that does. Over TLS the first failure is
// the last, as a record was cut.
func TestWriteTimeout(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.WriteTimeout = 20 * time.Millisecond
		for range 2 {
			err := within(t, func() error { return r.WriteTwo([]byte("head"), make([]byte, 64<<20)) })
			r.wantErr(t, err, netio.ErrTimeout)
		}
		if waited := r.TakeBlocked(); tr.raw && runtime.GOOS == "linux" && waited < 10*time.Millisecond {
			t.Errorf("two writes of 20ms have waited for %v", waited)
		}
		if waited := r.TakeBlocked(); waited != 0 {
			t.Errorf("no write has waited for %v more", waited)
		}
		if !plain(tr) {
			return
		}
		r.WriteTimeout = patience
		r.start(func() { io.Copy(io.Discard, r.far) })
		if err := within(t, func() error { return r.Write([]byte("more")) }); err != nil {
			t.Errorf("a write after it ended with %v", err)
		}
	})
}

// TestWriteTimeoutCountsFromTheLastByte writes to a peer that takes a piece
// whenever most of the time is over: it is slow, but not stuck.
func TestWriteTimeoutCountsFromTheLastByte(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		const length = 16 << 20
		r := newRig(t, tr)
		r.WriteTimeout = 3 * time.Second
		began := r.Now()
		r.start(func() {
			<-time.After(r.WriteTimeout * 3 / 5)
			io.CopyN(io.Discard, r.far, length/2)
			<-time.After(r.WriteTimeout * 3 / 5)
			io.CopyN(io.Discard, r.far, length/2)
		})
		if err := within(t, func() error { return r.Write(make([]byte, length)) }); err != nil {
			t.Errorf("it ended with %v after %v", err, r.Now()-began)
		}
	})
}

func TestWriteToAPeerThatIsGone(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.far.Close()
		var err error
		for range 1000 { // the first ones may go out before the reset is back
			if err = r.WriteTwo([]byte("head"), []byte("body")); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAbort(t *testing.T) {
	r := newRig(t, transports[0])
	r.Abort()
	r.Close()
	if _, err := r.far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer's read ended with %v, want a reset", err)
	}
}
