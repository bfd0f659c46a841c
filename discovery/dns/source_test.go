package dns_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/dns"
)

const web = "web.example."

func TestFirstAnswer(t *testing.T) {
	soa := "NS example. 60 SOA ns.example. me.example. 1 2 3 4 60\n"
	for name, tt := range map[string]struct {
		zone  map[string]string
		qtype string
		want  []string
	}{
		"A": {zone: map[string]string{web: "web.example. 60 A 10.0.0.2\nweb.example. 60 A 10.0.0.1\nweb.example. 60 A 10.0.0.2"},
			qtype: "A", want: []string{"10.0.0.1:80", "10.0.0.2:80"}},
		"AAAA": {zone: map[string]string{web + " AAAA": "web.example. 60 AAAA fd00::1\nweb.example. 60 AAAA ::ffff:10.0.0.1"},
			qtype: "AAAA", want: []string{"10.0.0.1:80", "[fd00::1]:80"}},
		"both": {zone: map[string]string{web + " A": "web.example. 60 A 10.0.0.1", web + " AAAA": "web.example. 60 AAAA fd00::1"},
			want: []string{"10.0.0.1:80", "[fd00::1]:80"}},
		"no AAAA": {zone: map[string]string{web + " A": "web.example. 60 A 10.0.0.1", web: soa},
			want: []string{"10.0.0.1:80"}},
		"A, AAAA is said to be no name": {zone: map[string]string{web + " A": "web.example. 60 A 10.0.0.1"},
			want: []string{"10.0.0.1:80"}},
		"A, AAAA fails": {zone: map[string]string{web + " A": "web.example. 60 A 10.0.0.1", web: "SERVFAIL"},
			want: []string{"10.0.0.1:80", "error: AAAA web.example.: 127.0.0.1:...: SERVFAIL"}},
		"upper case": {zone: map[string]string{web: "WEB.Example. 60 A 10.0.0.1"}, qtype: "A", want: []string{"10.0.0.1:80"}},
		"alias": {zone: map[string]string{web: "web.example. 60 CNAME a.example.\nb.example. 60 A 10.0.0.1\na.example. 60 CNAME B.example.\nc.example. 60 A 10.0.0.9"},
			qtype: "A", want: []string{"10.0.0.1:80"}},
		"alias that is not followed": {zone: map[string]string{web: "web.example. 60 CNAME a.example.", "a.example.": "a.example. 60 CNAME b.example.", "b.example.": "b.example. 60 A 10.0.0.1"},
			qtype: "A", want: []string{"10.0.0.1:80"}},
		"alias of nothing":    {zone: map[string]string{web: "NXDOMAIN\nweb.example. 60 CNAME a.example.\n" + soa}, qtype: "A", want: []string{"missing"}},
		"alias of no address": {zone: map[string]string{web: "web.example. 60 CNAME a.example.\n" + soa}, qtype: "A", want: nil},
		"aliases in a circle": {zone: map[string]string{web: "web.example. 60 CNAME a.example.\na.example. 60 CNAME web.example."},
			qtype: "A", want: []string{"-", "error: in a circle"}},
		"aliases in a circle that is not followed": {zone: map[string]string{web: "web.example. 60 CNAME a.example.", "a.example.": "a.example. 60 CNAME web.example."},
			qtype: "A", want: []string{"-", "error: in a circle"}},
		"no such name":      {zone: map[string]string{}, want: []string{"missing"}},
		"no address":        {zone: map[string]string{web: soa}, want: nil},
		"nothing at all":    {zone: map[string]string{web: ""}, want: nil},
		"others' addresses": {zone: map[string]string{web: "other.example. 60 A 10.0.0.1"}, qtype: "A", want: nil},
		"referral": {zone: map[string]string{web: "LAME\nNS example. 60 NS ns.example."}, qtype: "A",
			want: []string{"-", "error: A web.example.: 127.0.0.1:...: it refers to other servers"}},
		"SERVFAIL": {zone: map[string]string{web: "SERVFAIL"}, qtype: "A", want: []string{"-", "error: A web.example.: 127.0.0.1:...: SERVFAIL"}},
		"REFUSED":  {zone: map[string]string{web: "REFUSED"}, qtype: "A", want: []string{"-", "error: REFUSED"}},
		"no EDNS":  {zone: map[string]string{web: "NO-EDNS\nweb.example. 60 A 10.0.0.1"}, qtype: "A", want: []string{"10.0.0.1:80"}},
		"truncated even over TCP": {zone: map[string]string{web: "TRUNCATED\nweb.example. 60 A 10.0.0.1"}, qtype: "A",
			want: []string{"-", "error: truncated even over TCP"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := fast(serve(t, tt.zone))
			o.Type = tt.qtype
			next := run(t, o)
			expect(t, next(), tt.want...)
		})
	}
}

func TestFirstAnswerThatIsNone(t *testing.T) {
	for answer, want := range map[string]string{
		"SILENCE":                                "no answer over UDP within 200ms",
		"GARBAGE":                                "what it sends is no answer to the question",
		"SHORT":                                  "what it sends is no answer to the question",
		"OTHER-ID\nweb.example. 60 A 10.0.0.1":   "what it sends is no answer to the question",
		"OTHER-NAME\nweb.example. 60 A 10.0.0.1": "what it sends is no answer to the question",
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			o := fast(serve(t, map[string]string{web: answer}))
			o.Timeout = 400 * time.Millisecond
			eventually(t, run(t, o), "-", "error: "+want)
		})
	}
}

func TestTruncatedAnswersAreAskedForOverTCP(t *testing.T) {
	s := serve(t, map[string]string{web: addresses(web, 60, 500)})
	u := run(t, fast(s))()
	if len(u.Endpoints) != 500 || u.Endpoints[499].Address != "10.0.1.249:80" || u.Err != nil {
		t.Errorf("%d endpoints, %v", len(u.Endpoints), u.Err)
	}
	if got := s.questions(); len(got) < 2 || got[0] != (question{"udp", web, "A", true}) || got[1] != (question{"tcp", web, "A", true}) {
		t.Errorf("asked %v", got)
	}
}

func TestChangesAreDeliveredAndNothingElse(t *testing.T) {
	s := serve(t, map[string]string{web: "ROTATE\nweb.example. 1 A 10.0.0.1\nweb.example. 1 A 10.0.0.2\nweb.example. 1 A 10.0.0.3"})
	next := run(t, fast(s))
	expect(t, next(), "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
	waitForQuestions(t, s, len(s.questions())+10) // each is answered in another order
	s.set(web, "web.example. 1 A 10.0.0.3\nweb.example. 1 A 10.0.0.4")
	expect(t, next(), "10.0.0.3:80", "10.0.0.4:80")
}

// waitForQuestions waits until so many questions were asked.
func waitForQuestions(t *testing.T, s *server, count int) {
	t.Helper()
	for end := time.Now().Add(patience); len(s.questions()) < count; {
		if time.Now().After(end) {
			t.Fatal("too few questions were asked")
		}
		time.Sleep(time.Millisecond) // between two looks, not for an effect
	}
}

func TestTheTTLDrivesTheRefresh(t *testing.T) {
	s := serve(t, map[string]string{web: "web.example. 3600 CNAME a.example.\na.example. 1 A 10.0.0.1\n"})
	o := fast(s)
	o.MinTTL, o.MaxTTL, o.RefreshRate = 0, 0, time.Hour
	started := time.Now()
	next := run(t, o)
	expect(t, next(), "10.0.0.1:80")
	s.set(web, "web.example. 3600 A 10.0.0.2")
	expect(t, next(), "10.0.0.2:80")
	if took := time.Since(started); took < time.Second {
		t.Errorf("an answer that is good for a second was kept for %s", took)
	}
}

func TestATTLOfZeroIsRefreshedAtTheRate(t *testing.T) {
	s := serve(t, map[string]string{web: "web.example. 0 A 10.0.0.1\n"})
	o := fast(s)
	o.MinTTL, o.MaxTTL = time.Hour, time.Hour
	next := run(t, o)
	expect(t, next(), "10.0.0.1:80")
	s.set(web, "web.example. 0 A 10.0.0.2")
	expect(t, next(), "10.0.0.2:80")
}

func TestTheLastGoodAnswerStays(t *testing.T) {
	good := "web.example. 1 A 10.0.0.1"
	for bad, want := range map[string]string{
		"SERVFAIL": "SERVFAIL", "REFUSED": "REFUSED", "SILENCE": "no answer over UDP", "GARBAGE": "no answer to the question",
		"LAME\nNS example. 60 NS ns.example.": "refers to other servers",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := serve(t, map[string]string{web: good})
			o := fast(s)
			o.Timeout = 400 * time.Millisecond
			next := run(t, o)
			eventually(t, next, "10.0.0.1:80")
			s.set(web, bad)
			eventually(t, next, "10.0.0.1:80", "error: "+want)
			s.set(web, good)
			eventually(t, next, "10.0.0.1:80")
		})
	}
}

func TestAServerThatDiesAndComesBack(t *testing.T) {
	s := serve(t, map[string]string{web: "web.example. 1 A 10.0.0.1"})
	o := fast(s)
	o.Timeout = 2 * time.Second
	next := run(t, o)
	eventually(t, next, "10.0.0.1:80")
	s.stop()
	eventually(t, next, "10.0.0.1:80", "error: A web.example.: ")
	s.set(web, "web.example. 1 A 10.0.0.2")
	s.start(s.address)
	eventually(t, next, "10.0.0.2:80")
}

func TestAbsenceIsBelievedTheSecondTime(t *testing.T) {
	soa := "\nNS example. 1 SOA ns.example. me.example. 1 2 3 4 1"
	for absent, want := range map[string][]string{"NXDOMAIN" + soa: {"missing"}, soa: nil} {
		t.Run(strings.Join(want, ""), func(t *testing.T) {
			s := serve(t, map[string]string{web: "web.example. 1 A 10.0.0.1"})
			next := run(t, fast(s))
			expect(t, next(), "10.0.0.1:80")
			s.set(web, absent)
			expect(t, next(), "10.0.0.1:80", "error: it is believed if the answers are the same")
			expect(t, next(), want...)
			s.set(web, "web.example. 1 A 10.0.0.2")
			expect(t, next(), "10.0.0.2:80")
		})
	}
}

func TestFamiliesFailOnTheirOwn(t *testing.T) {
	s := serve(t, map[string]string{web + " A": "web.example. 1 A 10.0.0.1", web + " AAAA": "web.example. 1 AAAA fd00::1"})
	o := fast(s)
	o.Type = ""
	next := run(t, o)
	expect(t, next(), "10.0.0.1:80", "[fd00::1]:80")
	s.set(web+" AAAA", "SERVFAIL")
	expect(t, next(), "10.0.0.1:80", "[fd00::1]:80", "error: AAAA web.example.")
	s.set(web+" A", "web.example. 1 A 10.0.0.2")
	expect(t, next(), "10.0.0.2:80", "[fd00::1]:80", "error: AAAA web.example.")
	s.set(web+" AAAA", "NXDOMAIN")
	expect(t, next(), "10.0.0.2:80")
	s.set(web+" AAAA", "SERVFAIL")
	expect(t, next(), "10.0.0.2:80", "error: AAAA web.example.")
}

func TestLogical(t *testing.T) {
	s := serve(t, map[string]string{web + " A": "web.example. 1 A 10.0.0.2\nweb.example. 1 A 10.0.0.1", web + " AAAA": "web.example. 1 AAAA fd00::1"})
	o := fast(s)
	o.Type, o.Mode = "", dns.ModeLogical
	next := run(t, o)
	expect(t, next(), "10.0.0.2:80")
	s.set(web+" A", "web.example. 1 A 10.0.0.3\nweb.example. 1 A 10.0.0.2")
	expect(t, next(), "10.0.0.3:80")
	s.set(web+" A", "")
	expect(t, next(), "[fd00::1]:80")
}

func TestServersAreTriedInTurn(t *testing.T) {
	s := serve(t, map[string]string{web: "web.example. 1 A 10.0.0.1"})
	dir := t.TempDir()
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	// A resolv.conf has no ports: the servers are told apart by their addresses.
	host, port, _ := net.SplitHostPort(s.address)
	silent := &server{t: t, zone: map[string]string{web: "SILENCE"}}
	silent.start(net.JoinHostPort("127.0.0.2", port))
	t.Cleanup(silent.stop)
	must(t, os.WriteFile(resolv, []byte("nameserver 127.0.0.2\nnameserver "+host+"\n"), 0o600))
	o := fast(s)
	o.Resolver, o.Timeout = "", 8*time.Second // 2 for each try
	next := run(t, o, func(source *dns.Source) {
		source.UseFiles(hosts, resolv)
		source.UsePort(port)
	})
	expect(t, next(), "10.0.0.1:80")
	s.set(web, "web.example. 1 A 10.0.0.2")
	expect(t, next(), "10.0.0.2:80")
	if n := len(silent.questions()); n != 1 {
		t.Errorf("a server that is silent was asked %d times, while another answers", n)
	}
}

func TestRunEndsAtOnce(t *testing.T) {
	s := serve(t, map[string]string{web: "SILENCE"})
	o := fast(s)
	o.Timeout = time.Hour
	source, err := dns.New(o)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, func(u discovery.Update) { t.Errorf("delivered %v", u) })
	}()
	waitForQuestions(t, s, 1)
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it waits for a silent server")
	}
}

func TestHostsAndSearch(t *testing.T) {
	s := serve(t, map[string]string{
		"web.a.example.": "NXDOMAIN", "web.b.example. A": "web.b.example. 60 A 10.0.0.1", "web.b.example.": "",
		"absent.a.example.": "", "broken.a.example.": "SERVFAIL", "broken.b.example. A": "broken.b.example. 60 A 10.0.0.3",
		"failed.a.example.": "SERVFAIL", "silent.a.example.": "SILENCE", "silent.b.example.": "silent.b.example. 60 A 10.0.0.9",
		"two.dots.": "two.dots. 60 A 10.0.0.2", "hosted.": "hosted. 60 A 10.0.0.9", "six. A": "six. 60 A 10.0.0.4",
	})
	host, port, _ := net.SplitHostPort(s.address)
	dir := t.TempDir()
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	must(t, os.WriteFile(resolv, []byte("nameserver "+host+"\nsearch . a.example b.example\noptions ndots:1\n"), 0o600))
	must(t, os.WriteFile(hosts, []byte("10.1.0.1 Hosted other\nfd00::1 six # 10.9.9.9 six\n10.1.0.2 hosted.\nnonsense hosted\n"), 0o600))
	for name, tt := range map[string]struct {
		qtype string
		want  []string
	}{
		"web":           {"A", []string{"10.0.0.1:80"}},
		"two.dots":      {"A", []string{"10.0.0.2:80"}},
		"hosted":        {"A", []string{"10.1.0.1:80", "10.1.0.2:80"}},
		"HOSTED.":       {"", []string{"10.1.0.1:80", "10.1.0.2:80"}},
		"six":           {"", []string{"[fd00::1]:80"}},
		"six.":          {"A", []string{"10.0.0.4:80"}},
		"localhost":     {"", []string{"127.0.0.1:80", "[::1]:80"}},
		"api.localhost": {"AAAA", []string{"[::1]:80"}},
		"absent":        {"A", nil},
		"none":          {"A", []string{"missing"}},
		"broken":        {"A", []string{"10.0.0.3:80"}},
		"failed":        {"A", []string{"-", "error: A failed.a.example.: ...SERVFAIL"}},
		"silent":        {"A", []string{"-", "error: A silent.a.example.: ...no answer"}},
		"10.0.0.5":      {"", []string{"10.0.0.5:80"}},
		"::1":           {"AAAA", []string{"[::1]:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := fast(s)
			o.Name, o.Resolver, o.Type = name, "", tt.qtype
			if name == "silent" {
				o.Timeout = time.Second
			}
			expect(t, run(t, o, func(source *dns.Source) {
				source.UseFiles(hosts, resolv)
				source.UsePort(port)
			})(), tt.want...)
		})
	}
	t.Run("a changed file", func(t *testing.T) {
		o := fast(s)
		o.Name, o.Resolver, o.Type = "later", "", ""
		next := run(t, o, func(source *dns.Source) {
			source.UseFiles(hosts, resolv)
			source.UsePort(port)
		})
		expect(t, next(), "missing")
		must(t, os.WriteFile(hosts+".new", []byte("10.2.0.1 later"), 0o600))
		must(t, os.Rename(hosts+".new", hosts))
		expect(t, next(), "10.2.0.1:80")
	})
}

func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	servers, names, _ := dns.ResolvConf(path, "53", "web")
	if !slices.Equal(servers, []string{"127.0.0.1:53", "[::1]:53"}) || !slices.Equal(names, []string{"web."}) {
		t.Errorf("without a file: %v, %v", servers, names)
	}
	must(t, os.WriteFile(path, []byte("nameserver 10.0.0.1\nnameserver fd00::1\nsearch "+strings.Repeat("a.", 130)+" . B.example\noptions ndots:5"), 0o600))
	servers, names, _ = dns.ResolvConf(path, "53", "web.x")
	if !slices.Equal(servers, []string{"10.0.0.1:53", "[fd00::1]:53"}) || !slices.Equal(names, []string{"web.x.b.example.", "web.x."}) {
		t.Errorf("%v, %v", servers, names)
	}
}

func TestSystemResolver(t *testing.T) {
	o := dns.Options{Name: "localhost", Port: 80}
	u := run(t, o)()
	if len(u.Endpoints) == 0 || u.Err != nil || !strings.Contains(u.Endpoints[0].Address, "127.0.0.1:80") {
		t.Errorf("delivered %v", u)
	}
}

// TestWithoutDescriptors: a file of hosts that can't be read for want of a descriptor
// does not count as one that says nothing.
func TestWithoutDescriptors(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("192.0.2.7 web.internal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := dns.LocalAddresses(hosts, "web.internal"); err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	if got, err := dns.LocalAddresses(hosts, "web.internal"); !discovery.Short(err) {
		t.Errorf("the file of hosts says %v, %v", got, err)
	}
	if servers, _, err := dns.ResolvConf(hosts, "53", "web"); !discovery.Short(err) {
		t.Errorf("the file of servers says %v, %v", servers, err)
	}
}
