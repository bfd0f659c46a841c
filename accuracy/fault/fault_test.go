package fault

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAll finds a place for each fault, and checks that what it says of it is possible.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if seen[f.Name] {
			t.Errorf("two faults have the name %s", f.Name)
		}
		seen[f.Name] = true
		if f.Truth == nil || f.Plan == nil && f.Inject == nil {
			t.Errorf("%s: nothing happens, or nobody knows what", f.Name)
			continue
		}
		found := false
		for _, shape := range mesh.Shapes {
			r := rand.New(rand.NewPCG(1, 2))
			g := mesh.Generate(r, mesh.Options{Shape: shape, Services: 12, GRPC: true, Timeout: time.Second})
			at, ok := f.Find(r, g)
			if !ok {
				continue
			}
			found = true
			if g.Call(at.Caller, at.Target) == nil {
				t.Errorf("%s: %s does not call %s", f.Name, at.Caller, at.Target)
			}
			truth := f.Truth(at)
			for _, name := range truth.Services {
				if g.Service(name) == nil {
					t.Errorf("%s: no service %q", f.Name, name)
				}
			}
		}
		if !found {
			t.Errorf("%s: no graph has a place for it", f.Name)
		}
	}
	if _, unknown := Named([]string{"refused", "bored"}); unknown != "bored" {
		t.Errorf("unknown: %q", unknown)
	}
}

func TestWhere(t *testing.T) {
	call := func(to string, grpc bool) app.Call { return app.Call{To: to, GRPC: grpc} }
	g := &mesh.Graph{Services: []*mesh.Service{
		{Name: "web", Calls: []app.Call{call("cart", false), call("ads", true)}},
		{Name: "cart", Calls: []app.Call{call("stock", false)}},
		{Name: "ads", GRPC: true},
		{Name: "stock"},
	}}
	for _, tt := range []struct {
		where Where
		want  []string
	}{
		{Anywhere, []string{"cart", "ads", "stock"}},
		{GRPC, []string{"ads"}},
		{HTTP | Leaf, []string{"stock"}},
		{Middle, []string{"cart"}},
		{Deep, []string{"stock"}},
		{Middle | Beside, []string{"cart"}},
		{GRPC | Middle, nil},
	} {
		got := map[string]bool{}
		f := &Fault{Where: tt.where}
		for seed := range uint64(50) {
			if at, ok := f.Find(rand.New(rand.NewPCG(seed, 0)), g); ok {
				got[at.Target] = true
				if tt.where&Beside != 0 && at.Other != "ads" {
					t.Errorf("beside %s: %q, want ads", at.Target, at.Other)
				}
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%b: %v, want %v", tt.where, got, tt.want)
		}
		for _, name := range tt.want {
			if !got[name] {
				t.Errorf("%b: %v, want %v", tt.where, got, tt.want)
			}
		}
	}
}

func TestRelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	r, err := startRelay(l.Addr().String(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 5)
	if _, err := io.ReadFull(c, echo); err != nil || string(echo) != "hello" {
		t.Errorf("%q came back, %v", echo, err)
	}
	r.close()
	if _, err := c.Read(echo); err == nil {
		t.Error("the connection outlives the relay")
	}
}

func TestResolver(t *testing.T) {
	r, err := startResolver(dns.RcodeNameError)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("bank.mesh.test.", dns.TypeA), r.address())
	if err != nil || answer.Rcode != dns.RcodeNameError {
		t.Errorf("%v, %v", answer, err)
	}
}
