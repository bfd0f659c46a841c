package forward

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/overload"
)

// counted is the content of a copy that counts for a budget.
func counted(most int, b *overload.Budget) *copied {
	c := newCopied(most)
	c.account = new(overload.Account)
	c.account.Open(b)
	return c
}

// However content comes and is taken, a copy has all of it in order, or is cut off when it is
// too far behind; it never holds more than a few times what it may be behind, and nothing in
// the end.
func TestCopiedKeepsToItsBound(t *testing.T) {
	const most = 4 << 10
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		budget := overload.NewBudget()
		c := counted(most, budget)
		var came, got []byte
		behind := 0
		for range 400 {
			if random.IntN(3) > 0 {
				piece := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(1500))
				over := behind+len(piece) > most
				c.add(piece)
				if err := c.why(); len(piece) > 0 && (err != nil) != over {
					t.Fatalf("seed %d: %d bytes after %d: %v", seed, len(piece), behind, err)
				}
				if c.lost() {
					break
				}
				came = append(came, piece...)
				behind += len(piece)
			} else if len(c.waiting) > 0 {
				piece, err := c.Next()
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				got, behind = append(got, piece...), len(piece)
			}
			if budget.Used() > 4*most {
				t.Fatalf("seed %d: %d bytes are held", seed, budget.Used())
			}
		}
		c.end(nil)
		if err := c.why(); err != nil {
			if piece, again := c.Next(); piece != nil || again != err || fault.Of(err).Kind != fault.Overflow || !bytes.HasPrefix(came, got) {
				t.Errorf("seed %d: after %v: %d bytes, %v", seed, err, len(piece), again)
			}
		} else {
			for {
				piece, err := c.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				got = append(got, piece...)
			}
			if !bytes.Equal(came, got) {
				t.Errorf("seed %d: %d bytes came, and are not the %d that were got", seed, len(came), len(got))
			}
		}
		if n := c.close(); n != int64(len(came)) || budget.Used() != 0 || c.account.Held() != 0 {
			t.Errorf("seed %d: %d of %d bytes came, %d are held in the end", seed, n, len(came), budget.Used())
		}
	}
}

// A copy that waits for its endpoint gives up what it holds as soon as memory begins to be
// short, before clients are refused anything, and one that holds nothing goes on.
func TestCopiedGivesWay(t *testing.T) {
	budget := overload.NewBudget()
	budget.SetLimit(100 << 10)
	c, empty := counted(1<<20, budget), counted(1<<20, budget)
	c.add(make([]byte, 30<<10))
	c.end(nil)
	empty.end(nil)
	if c.lost() || empty.lost() {
		t.Fatal("it is lost while there is memory")
	}
	budget.Take(20 << 10) // of clients
	if budget.Level() != overload.Shrink || !c.lost() || empty.lost() {
		t.Fatalf("at level %d: %v, %v", budget.Level(), c.why(), empty.why())
	}
	if why := fault.Of(c.why()); why == nil || why.Kind != fault.Overload || budget.Used() != 20<<10 || budget.Level() != overload.Normal {
		t.Errorf("%v; %d bytes are held", why, budget.Used())
	}
	late := counted(1<<20, budget)
	budget.Take(30 << 10)
	late.add([]byte("more"))
	if fault.Of(late.why()) == nil || budget.Used() != 50<<10 {
		t.Errorf("content was kept while memory was short: %v, %d bytes", late.why(), budget.Used())
	}
	c.close()
	late.close()
	empty.close()
	if budget.Used() != 50<<10 {
		t.Errorf("%d bytes are held in the end", budget.Used())
	}
}
