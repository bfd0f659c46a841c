package metrics

// Description says what a metric is.
type Description struct {
	Name string
	// Type is "counter", "gauge" or "histogram".
	Type   string
	Help   string
	Labels []string
}

// families are the metrics that are made of Hops.
type families struct {
	requests, attempts, failures, blame, connections *family
	bytesIn, bytesOut                                *family
	attemptDuration                                  *family
	server, client                                   *family
	rpcServer, rpcClient                             *family
}

func newFamilies() families {
	return families{
		requests: newFamily("counter", "hopscope_requests_total",
			"Hops: requests, gRPC calls, tunnels, and connections whose request could not be understood.",
			"service", "direction", "route", "cluster", "method", "code", "grpc_status", "flag"),
		attempts: newFamily("counter", "hopscope_attempts_total",
			"Tries at an endpoint.",
			"service", "direction", "route", "cluster", "code", "grpc_status", "flag"),
		attemptDuration: newFamily("histogram", "hopscope_attempt_duration_seconds",
			"Duration of tries at an endpoint, from the start of the try to the end of its response; tunnels are left out.",
			"service", "direction", "route", "cluster", "code", "grpc_status", "flag", "error_type"),
		failures: newFamily("counter", "hopscope_failures_total",
			"Hops that met a failure, by who is at fault: the service (failed_hop), its part and the kind of failure. At most 200 services are told apart.",
			"service", "direction", "route", "cluster", "origin", "failed_hop", "part", "kind"),
		blame: newFamily("counter", "hopscope_blame_total",
			"Failed requests by who is at fault, each once in the mesh: at the proxy where it entered. The sum over all proxies is the number of failed requests of clients; there are exceptions: see docs/metrics.md. At most 200 culprits are told apart.",
			"service", "culprit", "part", "kind"),
		connections: newFamily("counter", "hopscope_connection_failures_total",
			"Connections from clients that ended before a request could be understood, or by breaking the protocol: TLS handshakes that failed, floods, malformed heads.",
			"service", "direction", "listener", "reason"),
		bytesIn: newFamily("counter", "hopscope_request_bytes_total",
			"Content received from clients; of tunnels, all bytes.",
			"service", "direction", "route", "cluster"),
		bytesOut: newFamily("counter", "hopscope_response_bytes_total",
			"Content sent to clients; of tunnels, all bytes.",
			"service", "direction", "route", "cluster"),
		server: newFamily("histogram", "http_server_request_duration_seconds",
			"Duration of requests to the service (inbound hops), from their first byte to the last byte of the response. gRPC calls and tunnels are left out.",
			"service", "route", "cluster", "http_request_method", "http_response_status_code", "error_type"),
		client: newFamily("histogram", "http_client_request_duration_seconds",
			"Duration of requests that the service makes (outbound hops), retries included. gRPC calls and tunnels are left out.",
			"service", "route", "cluster", "http_request_method", "http_response_status_code", "error_type"),
		rpcServer: newFamily("histogram", "rpc_server_call_duration_seconds",
			"Duration of gRPC calls to the service (inbound hops). At most 100 methods of a service are told apart, all of which an endpoint has.",
			"service", "cluster", "rpc_service", "rpc_method", "rpc_grpc_status_code", "error_type"),
		rpcClient: newFamily("histogram", "rpc_client_call_duration_seconds",
			"Duration of gRPC calls that the service makes (outbound hops), retries included. At most 100 methods are told apart, all of which an endpoint has.",
			"service", "cluster", "rpc_service", "rpc_method", "rpc_grpc_status_code", "error_type"),
	}
}

func (f *families) all() []*family {
	return []*family{f.requests, f.attempts, f.attemptDuration, f.failures, f.blame, f.connections, f.bytesIn, f.bytesOut,
		f.server, f.client, f.rpcServer, f.rpcClient}
}
