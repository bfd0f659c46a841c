package backends

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
)

// GRPCServer is a running server of gRPC's interoperability tests.
type GRPCServer struct {
	*Process
	Addr string // host:port that takes gRPC, in plain text or over TLS
}

// GRPC starts the interoperability tests' server for the test: over TLS with the
// certificate and the key of two PEM files, in plain text when both are "". It listens
// on the port of Addr on every address of the machine, having no flag for fewer.
func GRPC(tb testing.TB, certFile, keyFile string) *GRPCServer {
	tb.Helper()
	path := Require(tb, "grpc-server")
	s := new(GRPCServer)
	s.Process = start(tb, "grpc-server", func() (command, error) {
		a, err := freeAddresses(1)
		if err != nil {
			return command{}, err
		}
		s.Addr = a[0]
		_, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			return command{}, err
		}
		args := []string{"--port=" + port}
		if certFile != "" || keyFile != "" {
			args = append(args, "--use_tls", "--tls_cert_file="+certFile, "--tls_key_file="+keyFile)
		}
		return command{
			path:    path,
			args:    args,
			listens: a,
			ready:   accepts(a),
		}, nil
	})
	return s
}

// GRPCCases lists the interoperability tests that need no cloud's credentials, by the
// names that GRPCCall takes. gRPC's doc/interop-test-descriptions.md tells what each
// does. Of those there, pick_first_unary is left out, since the server of GRPC does not
// name itself, and the compression cases, which the Go client has not. orca_oob reads
// load reports on a stream beside the calls, so it wants one server behind the address.
func GRPCCases() []string {
	return []string{
		"empty_unary", "large_unary",
		"client_streaming", "server_streaming", "ping_pong", "empty_stream",
		"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response",
		"status_code_and_message", "special_status_message", "custom_metadata",
		"unimplemented_method", "unimplemented_service",
		"rpc_soak", "channel_soak",
		"orca_per_rpc", "orca_oob",
	}
}

// GRPCCall runs one case of GRPCCases with the interoperability tests' client against
// address, host:port, until ctx ends. It goes over TLS when caFile, a PEM bundle, is not
// "", and then name is what the server's certificate must be for ("" for the host of
// address). The error holds what the client printed.
func GRPCCall(ctx context.Context, tb testing.TB, testCase, address, caFile, name string) error {
	tb.Helper()
	path := Require(tb, "grpc-client")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("grpc-client %s: %w", testCase, err)
	}
	args := []string{
		"--test_case=" + testCase, "--server_host=" + host, "--server_port=" + port,
		// The balancer that hands the orca cases the load reports; to the others it is any.
		`--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}`,
		// A soak shall count failed calls, not slow ones: the machine may be busy.
		"--soak_overall_timeout_seconds=120", "--soak_per_iteration_max_acceptable_latency_ms=60000",
	}
	if caFile != "" {
		args = append(args, "--use_tls", "--use_test_ca", "--ca_file="+caFile, "--server_host_override="+name)
	}
	for tries := 1; ; tries++ {
		out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
		switch {
		case err == nil:
			return nil
		case testCase == "cancel_after_begin" && tries < 10 && bytes.Contains(out, []byte("CloseAndRecv() got error code 0, want 1")):
			// The client heard of its own cancellation only after the server's answer.
		default:
			return fmt.Errorf("grpc-client %s: %w\n%s", testCase, err, out)
		}
	}
}
