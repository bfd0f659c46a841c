package fault_test

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// registered are the error types of RFC 9209 section 2.3.
var registered = strings.Fields(`
	dns_timeout dns_error
	destination_not_found destination_unavailable destination_ip_prohibited destination_ip_unroutable
	connection_refused connection_terminated connection_timeout connection_read_timeout
	connection_write_timeout connection_limit_reached
	tls_protocol_error tls_certificate_error tls_alert_received
	http_request_error http_request_denied
	http_response_incomplete http_response_header_section_size http_response_header_size
	http_response_body_size http_response_trailer_section_size http_response_trailer_size
	http_response_transfer_coding http_response_content_coding http_response_timeout
	http_upgrade_failed http_protocol_error
	proxy_internal_response proxy_internal_error proxy_configuration_error proxy_loop_detected`)

// Every kind has all that a person sees of it.
func TestKinds(t *testing.T) {
	names, details := map[string]fault.Kind{}, map[string]fault.Kind{}
	for _, k := range fault.All() {
		name := k.String()
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz2_") != "" {
			t.Errorf("kind %d: name %q", k, name)
		}
		if other, taken := names[name]; taken {
			t.Errorf("kinds %d and %d are both %s", other, k, name)
		}
		names[name] = k
		if k.Details() == "" {
			t.Errorf("%s has no details", name)
		}
		if other, taken := details[k.Details()]; taken {
			t.Errorf("%s and %s both have the details %s", other, name, k.Details())
		}
		details[k.Details()] = k
		if bits.OnesCount64(uint64(k.Flag())) != 1 || k.Flag().Code() == "" {
			t.Errorf("%s has the flags %q, want one", name, k.Flag())
		}
		side := k.Side()
		if side != fault.Downstream && side != fault.Upstream && side != fault.Proxy {
			t.Errorf("%s is of side %d", name, side)
		}

		silent := k.Status() == 0 // nobody is left to answer
		if e := k.ProxyError(); !silent && e == "" || e != "" && !slices.Contains(registered, e) {
			t.Errorf("%s: status %d with error type %q", name, k.Status(), e)
		}
		if silent {
			if side != fault.Downstream {
				t.Errorf("%s has no status, and the client is there", name)
			}
			continue
		}
		if k.Status() < 400 || http.StatusText(k.Status()) == "" {
			t.Errorf("%s: status %d", name, k.Status())
		}
		if side == fault.Upstream && k.Status() < 500 {
			t.Errorf("%s: status %d blames the client", name, k.Status())
		}
		if side == fault.Upstream && k.Flag()&hop.Failures == 0 {
			t.Errorf("%s: %s does not count as a failure", name, k.Flag())
		}
	}
}

// TestCharged: it is clear who is at fault for every kind but those of a client.
func TestCharged(t *testing.T) {
	for _, k := range fault.All() {
		if charged := diagnose.Charged(k.String()); charged != (k.Side() != fault.Downstream) {
			t.Errorf("%s, of side %d: diagnose has a rule for it: %t", k, k.Side(), charged)
		}
	}
}

// The table of the facts: flag, status and error type.
func TestFlags(t *testing.T) {
	for k, want := range map[fault.Kind]string{
		fault.BadRequest: "DPE 400 http_request_error", fault.BadHeader: "IH 400 http_request_error",
		fault.HeaderTooLarge: "IH 431 http_request_error", fault.URITooLong: "DPE 414 http_request_error",
		fault.NotImplemented: "DPE 501 http_request_error", fault.VersionUnsupported: "DPE 505 http_request_error",
		fault.RequestTimeout: "SI 408 http_request_error", fault.ClientClosed: "DC 0 ", fault.ClientReset: "DR 0 ",
		fault.ForbiddenAddress: "UAEX 403 destination_ip_prohibited",
		fault.Forbidden:        "UAEX 403 http_request_denied", fault.NotFound: "NR 404 destination_not_found",
		fault.NoCluster: "NC 503 destination_unavailable", fault.NoHealthy: "UH 503 destination_unavailable",
		fault.Undiscovered: "UH 503 destination_unavailable",
		fault.Overflow:     "UO 503 connection_limit_reached", fault.LoopFound: "NR 502 proxy_loop_detected",
		fault.ConnectRefused: "UF 503 connection_refused", fault.ConnectTimeout: "UF 503 connection_timeout",
		fault.ConnectUnroutable: "UF 503 destination_ip_unroutable", fault.DNSFailed: "DF 503 dns_error",
		fault.UpstreamClosed: "UC 503 connection_terminated", fault.UpstreamReset: "UR 503 connection_terminated",
		fault.UpstreamProtocol: "UPE 502 http_protocol_error", fault.UpstreamTimeout: "UT 504 http_response_timeout",
		fault.UpstreamIdle: "SI 504 http_response_timeout", fault.Internal: "LR 500 proxy_internal_error",
		fault.Exhausted: "OM 503 proxy_internal_error", fault.PortsExhausted: "OM 503 proxy_internal_error",
	} {
		if got := fmt.Sprint(k.Flag(), " ", k.Status(), " ", k.ProxyError()); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
}

func TestOf(t *testing.T) {
	if fault.Of(nil) != nil {
		t.Error("no error became one")
	}
	made := fault.New(fault.Overflow, "full")
	if got := fault.Of(made); got != made {
		t.Errorf("%v became %v", made, got)
	}
	if got := fault.Of(fmt.Errorf("twice: %w", fmt.Errorf("wrapped: %w", made))); got != made {
		t.Errorf("a wrapped error became %v", got)
	}
	if got := fault.Of(errors.Join(io.EOF, made)); got != made {
		t.Errorf("a joined error became %v", got)
	}
	got := fault.Of(io.EOF)
	if got.Kind != fault.Internal || !errors.Is(got, io.EOF) {
		t.Errorf("a foreign error became %v of kind %s", got, got.Kind)
	}
}

func TestErrorText(t *testing.T) {
	if got := fault.New(fault.DNSFailed, "no name").Error(); got != "no name" {
		t.Error(got)
	}
	wrapped := fault.Wrap(fault.ConnectFailed, "could not connect", io.ErrUnexpectedEOF)
	if got := wrapped.Error(); got != "could not connect: unexpected EOF" {
		t.Error(got)
	}
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) || wrapped.Unwrap() != io.ErrUnexpectedEOF {
		t.Error("the cause is lost")
	}
	if fault.New(fault.DNSFailed, "").Unwrap() != nil {
		t.Error("there is a cause where none was")
	}
}
