package catalog

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
)

const (
	maxTag  = 2048 // bytes of a tag for a route
	maxTags = 256  // tags for routes of one instance
	// maxWeight is far above what makes sense for a share of 1, and far below
	// where sums of weights lose precision.
	maxWeight = 1e6
)

// tag is what a tag for a route says.
type tag struct {
	text     string
	hostPath hostPath
	treatment
	// weight is the share of the traffic for an instance; 0 is an equal
	// part of what those with a share leave.
	weight float64
	// register is a name that the proxy is to be registered under, "" for none.
	register string
	// refused is why the requests can't be served, empty if they can.
	refused string
	// restricted is true for what is closed to some clients.
	restricted bool
	// unplaced is why no request can ask for it, empty if one can.
	unplaced string
	// ignored are options that make no difference here.
	ignored []string
}

// hostPath is what a request asks for: a host and how the path begins, and by which methods.
type hostPath struct {
	host    string // in lower case; empty is any; "*x" is all that ends with x
	path    string // the beginning of the path
	methods string // sorted, with commas between them; empty is all
}

func (p hostPath) String() string {
	if p.methods != "" {
		return p.host + p.path + " " + p.methods
	}
	return p.host + p.path
}

// treatment is what becomes of the requests for a host and path. Two of them are the same
// if they are equal.
type treatment struct {
	strip, prepend, host string
	transport            Transport
	redirect             string // as in the tag
	allow, deny          string // networks, sorted, with commas between them
	auth                 string // who is asked for passwords
	timeout              time.Duration
	compress             bool
	limits               limits
}

// parse reads what follows a tag's prefix: host/path, and options after it; own says that it
// is in hopscope's own form. Only one of many errors is told, but a restriction is never
// missed.
func parse(text, rest string, own bool, o *Options) tag {
	t := tag{text: text, treatment: treatment{transport: plain}}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.unplaced = "it names neither host nor path: write HOST/PATH"
		return t
	}
	for _, option := range fields[1:] {
		name, value, _ := strings.Cut(option, "=")
		if err := t.option(name, value, own, o); err != nil && t.refused == "" {
			t.refused = fmt.Sprintf("%s: %v", name, err)
		}
	}
	if t.unplaced != "" {
		return t
	}
	t.limits.settle()
	methods := t.hostPath.methods
	var err error
	t.hostPath, err = parseHostPath(fields[0], o.Datacenter)
	t.hostPath.methods = methods
	if err != nil && !(t.restricted && errors.Is(err, errPort)) { // what was closed on one port is closed on all
		t.unplaced = err.Error()
	}
	return t
}

// option takes one option. Those that are not known are ignored, as Fabio does.
func (t *tag) option(name, value string, own bool, o *Options) error {
	switch name {
	case "strip":
		if value != "" && value[0] != '/' {
			t.ignored = append(t.ignored, "strip: no path begins without \"/\"")
			return nil
		}
		t.strip = value
		return checkPath(value)
	case "prepend":
		if value != "" && value[0] != '/' {
			value = "/" + value
		}
		t.prepend = value
		return checkPath(value)
	case "proto":
		return t.protocol(value)
	case "tlsskipverify":
		t.transport.Insecure = value == "true"
	case "grpcservername":
		t.transport.ServerName = value
		return checkName(value)
	case "host":
		return t.rewrite(value)
	case "weight":
		return t.share(value)
	case "allow":
		return t.restrict(&t.allow, value)
	case "deny":
		return t.restrict(&t.deny, value)
	case "auth":
		return t.passwords(value, o.Auth)
	case "redirect":
		if t.redirect = value; value != "" {
			_, err := ParseRedirect(value, "")
			return err
		}
	case "timeout":
		return t.limit(value)
	case "compress":
		t.compress = value == "" || value == "true"
	case "register":
		t.registerAs(value, o.Register)
	case "pxyproto":
		t.ignored = append(t.ignored, "pxyproto: it is for TCP")
	default:
		return t.other(name, value, own)
	}
	return nil
}

// other takes an option that Fabio does not know.
func (t *tag) other(name, value string, own bool) error {
	if own {
		if known, err := t.own(name, value); known {
			return err
		}
	} else if isOwn(name) {
		t.ignored = append(t.ignored, name+": only tags that begin with "+ownPrefix+" have it")
		return nil
	}
	t.ignored = append(t.ignored, strconv.Quote(name)+" is not known")
	return nil
}

func (t *tag) protocol(value string) error {
	transport := &t.transport
	t.unplaced = "" // the last one counts
	switch value {
	case "", "http":
		transport.Protocol, transport.TLS = "auto", false
	case "https":
		transport.Protocol, transport.TLS = "auto", true
	case "grpc", "h2c":
		transport.Protocol, transport.TLS = "http2", false
	case "grpcs":
		transport.Protocol, transport.TLS = "http2", true
	case "tcp", "tcp+sni", "tcp-dynamic", "https+tcp+sni":
		t.unplaced = "proto: TCP routes are not served by an HTTP listener: give the service a listener of its own"
	default:
		return fmt.Errorf("%q is none of http, https, h2c, grpc and grpcs", value)
	}
	return nil
}

// rewrite is for the Host field that an endpoint sees.
func (t *tag) rewrite(value string) error {
	switch value {
	case "":
		return nil
	case "dst":
		t.host = "endpoint"
		return nil
	case "endpoint":
		return errors.New("for the endpoint's own address write dst")
	}
	name, port := message.SplitPort(value)
	if len(name) < len(value) {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q is no port", port)
		}
	}
	t.host = value
	return checkHost(normal(name))
}

// restrict reads which clients may come in, or may not: ip:10.0.0.0/8,ip:192.168.0.1.
func (t *tag) restrict(to *string, value string) error {
	if value == "" {
		return nil
	}
	t.restricted = true
	var networks []string
	for rule := range strings.SplitSeq(value, ",") {
		kind, text, ok := strings.Cut(rule, ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(kind), "ip") {
			return fmt.Errorf("%q is no rule for clients: write ip:10.0.0.0/8", rule)
		}
		network, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		networks = append(networks, network.String())
	}
	slices.Sort(networks)
	if *to = strings.Join(slices.Compact(networks), ","); t.allow != "" && t.deny != "" {
		return errors.New("either clients are allowed or they are denied, not both")
	}
	return nil
}

// passwords are asked for as the configuration says under a name, which it has to know.
func (t *tag) passwords(name string, known []string) error {
	if t.auth = name; name == "" {
		return nil
	}
	if t.restricted = true; !slices.Contains(known, name) {
		return fmt.Errorf("catalog.auth of the configuration has no %q, so that all are refused: add it, or take the option away", name)
	}
	return nil
}

// registerAs has the proxy registered under a name, which the configuration has to know: else
// any service could put the proxy in the place of another.
func (t *tag) registerAs(name string, known []string) {
	if t.register = name; name != "" && !slices.Contains(known, name) {
		t.register = ""
		t.ignored = append(t.ignored, fmt.Sprintf("register: register.consul.names of the configuration does not have %q", name))
	}
}

// parseNetwork reads a network, or an address.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is no network", text)
	}
	return p.Masked(), nil
}

// networks reads what restrict wrote.
func networks(text string) (all []netip.Prefix) {
	if text == "" {
		return nil
	}
	for one := range strings.SplitSeq(text, ",") {
		p, _ := netip.ParsePrefix(one) // restrict wrote it
		all = append(all, p)
	}
	return all
}

func (t *tag) limit(value string) (err error) {
	if t.timeout = 0; value != "" {
		t.timeout, err = positive(value)
	}
	return err
}

func (t *tag) share(value string) error {
	w, err := strconv.ParseFloat(value, 64)
	if value != "" && (err != nil || math.IsNaN(w) || w > maxWeight) {
		return fmt.Errorf("%q is no share of traffic: 0.1 is a tenth", value)
	}
	t.weight = max(w, 0) // below 0 is without, as in Fabio
	return nil
}
