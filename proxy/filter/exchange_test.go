package filter_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// client is a client that sends pieces of content, and goes away at some time.
type client struct {
	filter.Conn
	filter.Body
	filter.Writer
	info     filter.ConnInfo
	pieces   []string
	trailers *message.Head
	leaves   time.Time // zero for never
	interim  []int
}

func (c *client) Info() *filter.ConnInfo { return &c.info }
func (c *client) Gone() func() bool {
	return func() bool { return !c.leaves.IsZero() && !time.Now().Before(c.leaves) }
}
func (c *client) Left() error             { return nil }
func (c *client) Whole() ([]byte, bool)   { return nil, len(c.pieces) == 0 }
func (c *client) Trailers() *message.Head { return c.trailers }
func (c *client) Interim(h *message.Head) error {
	c.interim = append(c.interim, h.Status)
	return nil
}

func (c *client) Next() ([]byte, error) {
	if len(c.pieces) == 0 {
		return nil, io.EOF
	}
	piece := []byte(c.pieces[0])
	c.pieces = c.pieces[1:]
	return piece, nil
}

// exchange is a request of the client's whose Hop begins now.
func exchange(c *client) *filter.Exchange {
	x := &filter.Exchange{Hop: &hop.Hop{Start: time.Now()}}
	x.Connect(c, c, c)
	x.Begin(context.Background(), nil)
	x.Request.Begin(nil)
	x.Request.Framing, x.Request.Length = message.Chunked, -1
	return x
}

func kindOf(err error) fault.Kind {
	if err == nil {
		return fault.None
	}
	return fault.Of(err).Kind
}

func TestBuffer(t *testing.T) {
	for name, tt := range map[string]struct {
		pieces  []string
		length  int64
		trailed bool
		want    fault.Kind
		whole   bool
	}{
		"fits exactly":         {pieces: []string{"12345", "67890"}, length: -1, whole: true},
		"a byte too many":      {pieces: []string{"12345", "67890", "1"}, length: -1, want: fault.ContentTooLarge},
		"said to be too large": {pieces: []string{"1"}, length: 11, want: fault.ContentTooLarge},
		"trailers stay behind": {pieces: []string{"12345"}, length: -1, trailed: true},
		"no content":           {length: -1, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			memory := overload.NewBudget()
			account := new(overload.Account)
			account.Open(memory)
			c := &client{pieces: tt.pieces, info: filter.ConnInfo{Account: account}}
			if tt.trailed {
				c.trailers = new(message.Head)
			}
			x := exchange(c)
			x.Request.Length = tt.length
			if err := x.Buffer(10); kindOf(err) != tt.want {
				t.Fatal(err)
			}
			if tt.want == fault.None {
				content, whole := x.Body.Whole()
				if want := bytes.Join(bytesOf(tt.pieces), nil); whole != tt.whole || whole && !bytes.Equal(content, want) {
					t.Errorf("%q, whole: %t", content, whole)
				}
				if whole && len(tt.pieces) > 0 && x.Request.Length != int64(len(content)) {
					t.Errorf("its length is %d", x.Request.Length)
				}
				var read []byte
				for {
					piece, err := x.Body.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					read = append(read, piece...)
				}
				if !bytes.Equal(read, bytes.Join(bytesOf(tt.pieces), nil)) {
					t.Errorf("read %q", read)
				}
				if len(tt.pieces) > 0 && memory.Used() < int64(len(read)) {
					t.Errorf("%d bytes are counted", memory.Used())
				}
			}
			if x.Finish(); memory.Used() != 0 || x.Body != filter.Body(c) {
				t.Errorf("%d bytes are still counted", memory.Used())
			}
		})
	}
}

func bytesOf(pieces []string) (all [][]byte) {
	for _, p := range pieces {
		all = append(all, []byte(p))
	}
	return all
}

// A client that waits to be asked for its content is asked, once.
func TestBufferInvites(t *testing.T) {
	c := &client{pieces: []string{"hello"}}
	x := exchange(c)
	x.Request.Expect = true
	x.Request.Add(message.Expect, "expect", "100-continue")
	if err := x.Buffer(10); err != nil {
		t.Fatal(err)
	}
	if len(c.interim) != 1 || c.interim[0] != 100 || x.Request.Expect || x.Request.Has(message.Expect) {
		t.Errorf("interim responses: %d; the endpoint is told of it: %t", c.interim, x.Request.Expect)
	}
}

func TestBufferWithoutMemory(t *testing.T) {
	memory := overload.NewBudget()
	memory.SetLimit(1000)
	memory.Take(900)
	account := new(overload.Account)
	account.Open(memory)
	x := exchange(&client{pieces: []string{"hello"}, info: filter.ConnInfo{Account: account}})
	if err := x.Buffer(10); kindOf(err) != fault.Overload {
		t.Error(err)
	}
}

// What ends a wait, and when.
func TestWait(t *testing.T) {
	for name, tt := range map[string]struct {
		leaves, until, stops time.Duration // 0 is never
		want                 fault.Kind
		took                 time.Duration
	}{
		"its time":               {took: 110 * time.Millisecond},
		"the client leaves":      {leaves: 60 * time.Millisecond, want: fault.ClientClosed, took: 75 * time.Millisecond}, // it is looked for each 25 ms
		"the request's time":     {until: 30 * time.Millisecond, want: fault.UpstreamTimeout, took: 30 * time.Millisecond},
		"the proxy stops":        {stops: 10 * time.Millisecond, want: fault.Draining, took: 10 * time.Millisecond},
		"the client left before": {leaves: -1, want: fault.ClientClosed},
	} {
		for _, how := range []string{"Wait", "Call"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					c := &client{}
					if tt.leaves != 0 {
						c.leaves = start.Add(tt.leaves)
					}
					x := exchange(c)
					x.Until = tt.until
					if tt.stops > 0 {
						var cancel context.CancelFunc
						x.Context, cancel = context.WithTimeout(t.Context(), tt.stops)
						defer cancel()
					}
					var err error
					if how == "Wait" {
						err = x.Wait(110 * time.Millisecond)
					} else {
						err = x.Call(func(ctx context.Context) error {
							select {
							case <-time.After(110 * time.Millisecond):
								return nil
							case <-ctx.Done():
								return context.Cause(ctx)
							}
						})
					}
					if kindOf(err) != tt.want || time.Since(start) != tt.took {
						t.Errorf("%v after %s, want %s after %s", err, time.Since(start), tt.want, tt.took)
					}
				})
			})
		}
	}
}

// router counts the matches of an exchange.
type router struct{ matches int }

func (r *router) Route(x *filter.Exchange) error {
	r.matches++
	x.Route = r.matches
	return filter.Act(x)
}
func (*router) Act(*filter.Exchange) error                   { return nil }
func (*router) Decorate(_ *filter.Exchange, h *message.Head) { h.Add(message.Via, "via", "1.1 test") }

// A request can be matched anew once.
func TestReroute(t *testing.T) {
	r := new(router)
	x := exchange(&client{})
	x.Begin(context.Background(), r)
	if x.Rerouted() {
		t.Error("it was rerouted before it began")
	}
	if err := x.Reroute(); err != nil || r.matches != 1 || !x.Rerouted() {
		t.Errorf("%v, %d matches", err, r.matches)
	}
	if err := x.Reroute(); kindOf(err) != fault.Internal || r.matches != 1 {
		t.Errorf("%v, %d matches", err, r.matches)
	}
	if x.Begin(context.Background(), r); x.Rerouted() || x.Route != nil {
		t.Error("the next request begins rerouted")
	}
	x.Response.Begin(nil)
	if x.Decorate(&x.Response); !x.Response.Has(message.Via) {
		t.Error("the response is not decorated")
	}
}

// TestReuse: what a filter borrows is its alone until the exchange ends, and zero and
// without cost for the next request.
func TestReuse(t *testing.T) {
	type one struct{ n int }
	type other struct{ n int }
	x := exchange(&client{})
	a, b, c := filter.Reuse[one](x), filter.Reuse[one](x), filter.Reuse[other](x)
	if a == b {
		t.Fatal("two filters have the same")
	}
	a.n, b.n, c.n = 1, 2, 3
	x.Finish()
	if *a != (one{}) || *b != (one{}) || *c != (other{}) {
		t.Errorf("after the exchange: %v, %v, %v", *a, *b, *c)
	}
	if again := filter.Reuse[one](x); again != a {
		t.Error("the next request gets another")
	}
	x.Finish()
	if n := testing.AllocsPerRun(100, func() {
		filter.Reuse[one](x).n++
		filter.Reuse[other](x).n++
		x.Finish()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
