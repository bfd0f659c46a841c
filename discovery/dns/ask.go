package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is how large an answer over UDP may be: what passes all networks
	// unfragmented (DNS flag day 2020).
	udpSize = 1232
	// rounds is how often each server is asked: packets get lost.
	rounds = 2
)

// verdict is an answer by a server that will be the same a moment later.
type verdict string

func (v verdict) Error() string { return string(v) }

// servfail is a server that has tried and failed.
const servfail verdict = "SERVFAIL"

// servers asks name servers. It remembers which one answered last, so that a server that is
// down costs its time only once.
type servers struct {
	mu   sync.Mutex
	last string
}

// ask puts a question to the servers one after the other until one of them
// answers it. Each gets its share of the time, twice.
func (s *servers) ask(ctx context.Context, list []string, timeout time.Duration, q dns.Question) (answer, error) {
	s.mu.Lock()
	if i := slices.Index(list, s.last); i > 0 {
		list = slices.Concat([]string{s.last}, list[:i], list[i+1:])
	}
	s.mu.Unlock()
	share := timeout / time.Duration(rounds*len(list))
	why := make([]error, len(list))
	for range rounds {
		for i, server := range list {
			if _, final := errors.AsType[verdict](why[i]); final || ctx.Err() != nil {
				continue
			}
			a, err := askServer(ctx, server, share, q)
			if err == nil {
				s.mu.Lock()
				s.last = server
				s.mu.Unlock()
				return a, nil
			}
			why[i] = err
		}
	}
	return answer{}, &failure{question: q, servers: list, why: why}
}

// failure is a question that no server has answered.
type failure struct {
	question dns.Question
	servers  []string
	why      []error
}

func (f *failure) Error() string {
	var reasons []string
	for i, err := range f.why {
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("%s: %v", f.servers[i], err))
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"the time for the lookup was over before"}
	}
	slices.Sort(reasons) // which is asked first is no news
	return fmt.Sprintf("%s %s: %s", dns.TypeToString[f.question.Qtype], f.question.Name, strings.Join(reasons, "; "))
}

// servfail tells whether some server has tried and failed, and none was
// silent.
func (f *failure) servfail() bool {
	return !slices.ContainsFunc(f.why, func(err error) bool { return err != servfail })
}

// askServer asks one server: over UDP, over TCP if the answer is too large for
// that (RFC 7766), and without EDNS if the server knows nothing of it (RFC 6891,
// section 7).
func askServer(ctx context.Context, server string, timeout time.Duration, q dns.Question) (answer, error) {
	query := &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: dns.Id(), RecursionDesired: true},
		Question: []dns.Question{q},
	}
	query.SetEdns0(udpSize, false)
	m, err := exchange(ctx, "udp", server, timeout, query)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeBadVers) {
		query.Extra = nil
		m, err = exchange(ctx, "udp", server, timeout, query)
	}
	if err == nil && m.Truncated {
		if m, err = exchange(ctx, "tcp", server, timeout, query); err == nil && m.Truncated {
			err = errors.New("the answer is truncated even over TCP")
		}
	}
	switch {
	case err != nil:
		return answer{}, err
	case m.Rcode == dns.RcodeServerFailure:
		return answer{}, servfail
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		code := dns.RcodeToString[m.Rcode]
		if code == "" {
			code = fmt.Sprintf("code %d", m.Rcode)
		}
		return answer{}, verdict(code)
	}
	a, err := readAnswer(m, q)
	if err != nil {
		return answer{}, verdict(err.Error())
	}
	return a, nil
}

// exchange sends a query over a connection of its own, whose port nobody can
// know, and waits for the answer to it.
func exchange(ctx context.Context, network, server string, timeout time.Duration, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, explain(err, network, timeout, 0)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: raw, UDPSize: 4096} // some send more than they are asked to
	if err := conn.WriteMsg(query); err != nil {
		return nil, explain(err, network, timeout, 0)
	}
	for strange := 0; ; strange++ {
		packet, err := conn.ReadMsgHeader(nil)
		if err != nil && !(network == "udp" && errors.Is(err, dns.ErrShortRead)) {
			return nil, explain(err, network, timeout, strange)
		}
		m := new(dns.Msg)
		if err == nil && m.Unpack(packet) == nil && answers(m, query) {
			return m, nil
		}
		// Over UDP anyone may send; the true answer may be still to come.
		if network != "udp" {
			return nil, errors.New("what it sends over TCP is no answer to the question")
		}
	}
}

// answers tells whether a message is the answer to a query.
func answers(m, query *dns.Msg) bool {
	if !m.Response || m.Id != query.Id || m.Opcode != query.Opcode {
		return false
	}
	if len(m.Question) == 0 {
		return m.Rcode == dns.RcodeFormatError // it could not be read
	}
	got, want := m.Question[0], query.Question[0]
	return len(m.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass &&
		dns.CanonicalName(got.Name) == dns.CanonicalName(want.Name)
}

// explain makes an error of the network short, and the same each time: no
// ports of ours.
func explain(err error, network string, timeout time.Duration, strange int) error {
	if at, ok := errors.AsType[*net.OpError](err); ok {
		err = at.Err
	}
	if at, ok := errors.AsType[*os.SyscallError](err); ok {
		err = at.Err
	}
	late, ok := errors.AsType[net.Error](err)
	switch {
	case ok && late.Timeout() && strange > 0:
		return errors.New("what it sends is no answer to the question")
	case ok && late.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("no answer over %s within %s", strings.ToUpper(network), timeout)
	}
	return fmt.Errorf("%s: %w", strings.ToUpper(network), err)
}
