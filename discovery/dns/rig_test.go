package dns_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/dns"
	miekg "github.com/miekg/dns"
	"go.uber.org/goleak"
)

var _ discovery.Source = (*dns.Source)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a hung test.
const patience = time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// question is one that a server was asked.
type question struct {
	network, name, qtype string
	edns                 bool
}

// server is a real DNS server on a port of its own, UDP and TCP, whose answers a
// test can change.
type server struct {
	t       *testing.T
	address string
	running []*miekg.Server

	mu     sync.Mutex
	zone   map[string]string // "web.example. A" -> records, or what else to do
	asked  []question
	rotate int
}

// serve starts a server. Its answers are written as a zone: a key is a name and
// a type, or a name alone for all types; a value has records, one a line, each
// after an optional "ANSWER", "EXTRA" or "NS", or one of the words of [server.answer].
func serve(t *testing.T, zone map[string]string) *server {
	t.Helper()
	s := &server{t: t, zone: zone}
	s.start("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *server) start(address string) {
	s.t.Helper()
	for range 100 {
		tcp, err := net.Listen("tcp", address)
		must(s.t, err)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil { // the port is another's: take the next
			tcp.Close()
			continue
		}
		s.address = tcp.Addr().String()
		for _, m := range []*miekg.Server{{Listener: tcp}, {PacketConn: udp}} {
			m.Handler = miekg.HandlerFunc(s.handle)
			started := make(chan struct{})
			m.NotifyStartedFunc = func() { close(started) }
			go m.ActivateAndServe()
			<-started
			s.running = append(s.running, m)
		}
		return
	}
	s.t.Fatal("no port is free for both UDP and TCP")
}

func (s *server) stop() {
	for _, m := range s.running {
		m.Shutdown()
	}
	s.running = nil
}

// set changes the answers to a key.
func (s *server) set(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[key] = value
}

// questions lists what was asked so far.
func (s *server) questions() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *server) handle(w miekg.ResponseWriter, q *miekg.Msg) {
	network := w.LocalAddr().Network()
	name, qtype := q.Question[0].Name, miekg.TypeToString[q.Question[0].Qtype]
	s.mu.Lock()
	s.asked = append(s.asked, question{network, name, qtype, q.IsEdns0() != nil})
	value, ok := s.zone[name+" "+qtype]
	if !ok {
		value, ok = s.zone[name]
	}
	s.rotate++
	turn := s.rotate
	s.mu.Unlock()
	if !ok {
		value = "NXDOMAIN"
	}
	s.answer(w, q, network, value, turn)
}

// answer does what a value of the zone says.
func (s *server) answer(w miekg.ResponseWriter, q *miekg.Msg, network, value string, turn int) {
	m := new(miekg.Msg).SetReply(q)
	m.RecursionAvailable = true
	word, rest, _ := strings.Cut(value, "\n")
	switch word {
	case "SILENCE":
		return
	case "GARBAGE":
		w.Write([]byte(strings.Repeat("\xc0\x0c", 100)))
		return
	case "SHORT":
		w.Write([]byte{1, 2, 3})
		return
	case "OTHER-ID":
		m.Id++
		value = rest
	case "OTHER-NAME":
		m.Question[0].Name = "other.example."
		value = rest
	case "NO-EDNS":
		if q.IsEdns0() != nil {
			w.WriteMsg(&miekg.Msg{MsgHdr: miekg.MsgHdr{Id: q.Id, Response: true, Rcode: miekg.RcodeFormatError}})
			return
		}
		value = rest
	case "LAME":
		m.RecursionAvailable = false
		value = rest
	case "ROTATE":
		lines := strings.Split(rest, "\n")
		turn %= len(lines)
		value = strings.Join(slices.Concat(lines[turn:], lines[:turn]), "\n")
	case "TRUNCATED":
		m.Truncated = true
		value = rest
	default:
		if code, ok := miekg.StringToRcode[word]; ok {
			m.Rcode = code
			value = rest
		}
	}
	for line := range strings.Lines(value) {
		section := &m.Answer
		switch first, rest, _ := strings.Cut(line, " "); first {
		case "EXTRA":
			section, line = &m.Extra, rest
		case "NS":
			section, line = &m.Ns, rest
		}
		rr, err := miekg.NewRR(strings.TrimSpace(line))
		if err != nil {
			s.t.Errorf("zone: %q: %v", line, err)
			return
		}
		if rr != nil {
			*section = append(*section, rr)
		}
	}
	if network == "udp" {
		size := miekg.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		m.Truncate(size)
	}
	w.WriteMsg(m)
}

// addresses are the records of a name for addresses, which it rotates.
func addresses(name string, ttl, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "%s %d A 10.0.%d.%d\n", name, ttl, i/250, i%250)
	}
	return b.String()
}

// fast are options under which a source of a name asks a server often.
func fast(s *server) dns.Options {
	return dns.Options{
		Name: "web.example", Port: 80, Resolver: s.address, Type: dns.TypeA,
		MinTTL: time.Millisecond, MaxTTL: time.Millisecond, RefreshRate: time.Millisecond, Timeout: patience,
		Backoff: discovery.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

// run runs a source until the test ends. What it returns waits for an update.
func run(t *testing.T, o dns.Options, change ...func(*dns.Source)) (next func() discovery.Update) {
	t.Helper()
	source, err := dns.New(o)
	must(t, err)
	for _, c := range change {
		c(source)
	}
	ctx, cancel := context.WithCancel(t.Context())
	updates, done := make(chan discovery.Update), make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, func(u discovery.Update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func() discovery.Update {
		t.Helper()
		select {
		case u := <-updates:
			return u
		case <-time.After(patience):
			t.Fatal("nothing was delivered")
			return discovery.Update{}
		}
	}
}

// expect compares an update: what is delivered is written as lines of text, "-"
// for no good answer yet.
func expect(t *testing.T, u discovery.Update, want ...string) {
	t.Helper()
	if diff := compare(u, want); diff != "" {
		t.Fatalf("delivered (-want +got):\n%s", diff)
	}
}

// eventually waits for an update. It is for tests whose lookups have little
// time, since they wait for one that gets no answer: on a busy machine, others
// may get none either.
func eventually(t *testing.T, next func() discovery.Update, want ...string) {
	t.Helper()
	for {
		u := next()
		diff := compare(u, want)
		if diff == "" {
			return
		}
		if u.Err == nil {
			t.Fatalf("delivered (-want +got):\n%s", diff)
		}
	}
}

func compare(u discovery.Update, want []string) (diff string) {
	var got []string
	if u.Endpoints == nil {
		got = append(got, "-")
	}
	for _, e := range u.Endpoints {
		line := e.Address
		if e.Weight != 1 || e.Priority != 0 {
			line += fmt.Sprintf(" weight %d priority %d", e.Weight, e.Priority)
		}
		got = append(got, line)
	}
	if u.Missing {
		got = append(got, "missing")
	}
	if u.Err != nil {
		wrong := "error: " + u.Err.Error()
		if len(want) > 0 && containsAll(wrong, strings.Split(want[len(want)-1], "...")) {
			wrong = want[len(want)-1]
		}
		got = append(got, wrong)
	}
	return cmp.Diff(want, got)
}

func containsAll(s string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool {
		return !strings.Contains(s, strings.TrimPrefix(part, "error: "))
	})
}
