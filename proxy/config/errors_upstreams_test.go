package config

import "strings"

const (
	clusterKeys = "endpoints, static, consul, dns, file, balance, retry, hedge, circuit_breaker, outlier, health_checks, protocol, " +
		"tls, http2, connect_timeout, idle_timeout, max_idle, max_header_bytes, max_header_fields"
	balanceKeys = "policy, hash, choices, active_request_bias, min_ring_size, max_ring_size, table_size, bounded_load, decay, " +
		"default_rtt, panic_threshold, overprovisioning, zone_aware, min_zone_endpoints, slow_start, subsets"
	consulKeys = "address, token, token_file, tls, datacenter, namespace, partition, stale, wait, service, query, tags, filter, " +
		"near, only_passing, failover, mesh_gateway"
	retryKeys  = "on, statuses, headers, attempts, per_try_timeout, backoff, budget, max_body"
	retryWords = `"5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx", "retriable-status-codes", ` +
		`"retriable-headers", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"`
	policies = `"round_robin", "least_request", "random", "ring_hash", "maglev", "peak_ewma"`
)

func oneDNS(keys string) string    { return oneCluster("{dns: {" + keys + "}}") }
func oneConsul(keys string) string { return oneCluster("{consul: {" + keys + "}}") }
func oneBalance(keys string) string {
	return oneCluster("{endpoints: [a:80], balance: {" + keys + "}}")
}
func oneRetry(keys string) string { return oneCluster("{endpoints: [a:80], retry: {" + keys + "}}") }

func oneHealthCheck(check string) string {
	return oneCluster("{endpoints: [a:80], health_checks: [" + check + "]}")
}

// oneSubset makes a valid file but for its route's subset, which is in line 2.
func oneSubset(balance string) string {
	return "clusters: {web: {endpoints: [a:80], balance: " + balance + "}}\n" +
		"listeners: [{name: in, address: ':80', routes: [{cluster: web, subset: {version: v2}}]}]\n"
}

// upstreamMistakes has the rows of [mistakes] about live upstreams.
func upstreamMistakes() []mistake {
	return []mistake{
		// Where endpoints come from.
		{"two sources", oneCluster("{endpoints: [a:80], dns: {name: a, port: 80}}"),
			"3:33: clusters.web.dns: does not go with endpoints: expected only one of the keys endpoints, static, consul, dns, file"},
		{"no source", oneCluster("{connect_timeout: 1s}"), "3:8: clusters.web: expected one of the keys endpoints, static, consul, dns, file"},
		{"no static endpoint", oneCluster("{static: []}"), "3:17: clusters.web.static: must not be empty; expected a list of mappings"},
		{"static endpoint twice", oneCluster("{static: [{address: 'a:80'}, {address: 'a:80'}]}"),
			`3:47: clusters.web.static[1].address: "a:80" is listed twice; it is item 0 as well`},
		{"static endpoint without address", oneCluster("{static: [{weight: 2}]}"),
			"3:18: clusters.web.static[0].address: required key is missing; expected a host and port such as 127.0.0.1:3000"},
		{"static endpoint without weight", oneCluster("{static: [{address: 'a:80', weight: 0}]}"),
			"3:44: clusters.web.static[0].weight: expected an integer from 1 to 1000000, found 0"},
		{"address for a static endpoint", oneCluster("{static: ['a:80']}"),
			`3:18: clusters.web.static[0]: expected a mapping, found "a:80"; did you mean {address: a:80}?`},
		{"misspelt source is one mistake", oneCluster("{conusl: {service: a}}"),
			`3:9: clusters.web.conusl: unknown key; did you mean "consul"? (valid keys: ` + clusterKeys + ")"},
		{"source of a wrong type is one mistake", oneCluster("{consul: [payments]}"), "3:17: clusters.web.consul: expected a mapping, found a list"},
		{"service for Consul", oneCluster("{consul: payments}"),
			`3:17: clusters.web.consul: expected a mapping, found "payments"; did you mean {service: payments}?`},
		{"name for DNS", oneCluster("{dns: legacy.internal}"),
			`3:14: clusters.web.dns: expected a mapping, found "legacy.internal"; did you mean {name: legacy.internal}?`},
		{"address for DNS", oneCluster("{dns: 'legacy.internal:8080'}"),
			`3:14: clusters.web.dns: expected a mapping, found "legacy.internal:8080"; did you mean {name: legacy.internal, port: 8080}?`},
		{"path for a file", oneCluster("{file: endpoints.yaml}"),
			`3:15: clusters.web.file: expected a mapping, found "endpoints.yaml"; did you mean {path: endpoints.yaml}?`},
		{"empty path", oneCluster("{file: {path: ''}}"), "3:22: clusters.web.file.path: must not be empty; expected the path of a file"},
		{"DNS without port", oneDNS("name: a"),
			`3:14: clusters.web.dns.port: required key is missing; expected an integer from 1 to 65535: addresses have no port (records of type "srv" have)`},
		{"DNS with port 0", oneDNS("name: a, port: 0"),
			`3:30: clusters.web.dns.port: expected an integer from 1 to 65535, found 0: addresses have no port (records of type "srv" have)`},
		{"DNS with a port beside SRV", oneDNS("name: a, type: srv, port: 80"),
			`3:41: clusters.web.dns.port: has no effect with type "srv", whose records have ports; remove the key`},
		{"DNS of a misspelt type is one mistake", oneDNS("name: a, type: svr"),
			`3:30: clusters.web.dns.type: expected one of "auto", "a", "aaaa", "srv", found "svr"; did you mean "srv"?`},
		{"DNS with times to live the wrong way round", oneDNS("name: a, port: 80, min_ttl: 2h"),
			"3:14: clusters.web.dns.max_ttl: 1h is below min_ttl, which is 2h"},
		{"DNS with a time to live of a wrong type is one mistake", oneDNS("name: a, port: 80, min_ttl: x, max_ttl: 500ms"),
			`3:43: clusters.web.dns.min_ttl: expected a duration such as 250ms, found "x"`},
		{"DNS of an IP address", oneDNS("name: 10.0.0.1, port: 80"),
			`3:21: clusters.web.dns.name: expected a name that DNS knows such as api.internal, found "10.0.0.1": an IP address is not looked up: a cluster has it in endpoints`},
		{"DNS of a name with its port", oneDNS("name: 'a.b:80', port: 80"),
			`3:21: clusters.web.dns.name: expected a name that DNS knows such as api.internal, found "a.b:80": "a.b:80" is not a host name; did you mean "a.b"?`},
		{"DNS of a URL", oneDNS("name: 'http://a.b/', port: 80"),
			`3:21: clusters.web.dns.name: expected a name that DNS knows such as api.internal, found "http://a.b/": "http://a.b/" is not a host name; did you mean "a.b"?`},

		// Consul.
		{"Consul without service", oneConsul(""), "3:17: clusters.web.consul: expected one of the keys service, query"},
		{"Consul with service and query", oneConsul("service: a, query: b, tags: [c]"),
			"3:37: clusters.web.consul.query: does not go with service: expected only one of the keys service, query"},
		{"Consul with an empty service is one mistake", oneConsul("service: ''"),
			"3:27: clusters.web.consul.service: must not be empty; expected a name of 1 to 255 printable ASCII characters"},
		{"query with the keys of a service", oneConsul("query: a, tags: [b], filter: c, near: _agent, failover: [dc2], mesh_gateway: local"),
			`3:34: clusters.web.consul.tags: has no effect with query: the prepared query has its own; remove the key
3:47: clusters.web.consul.filter: has no effect with query: the prepared query has its own; remove the key
3:56: clusters.web.consul.near: has no effect with query: the prepared query has its own; remove the key
3:74: clusters.web.consul.failover: has no effect with query: the prepared query has its own; remove the key
3:95: clusters.web.consul.mesh_gateway: has no effect with query: the prepared query has its own; remove the key`},
		{"token and token file", oneConsul("service: a, token: t0ps3cret, token_file: f"),
			"3:60: clusters.web.consul.token_file: does not go with token: expected only one of the keys token, token_file"},
		{"token of a wrong type", oneConsul("service: a, token: 1234"),
			"3:37: clusters.web.consul.token: expected a string, found a value that is not a string"},
		{"certificate for Consul without key", oneConsul("service: a, tls: {cert: me.pem}"),
			"3:35: clusters.web.consul.tls.key: required key is missing with cert; expected the path of a file with the certificate's private key"},
		{"URL of Consul", oneConsul("service: a, address: 'http://127.0.0.1:8500'"),
			`3:39: clusters.web.consul.address: expected a host and port such as 127.0.0.1:3000, found "http://127.0.0.1:8500": it is a URL, not an address; did you mean "127.0.0.1:8500"?`},
		{"datacentre with a dot", oneConsul("service: a, datacenter: dc.1"),
			`3:42: clusters.web.consul.datacenter: expected a name of letters, digits, "-" and "_" such as dc1, found "dc.1": Consul has no such names`},
		{"tag", oneConsul("service: a, tag: v2"), `3:30: clusters.web.consul.tag: unknown key; did you mean "tags"? (valid keys: ` + consulKeys + ")"},
		{"string for tags", oneConsul("service: a, tags: v2"),
			`3:36: clusters.web.consul.tags: expected a list, each item a string, found "v2"; did you mean ["v2"]?`},
		{"the top level's Consul with what is asked for", with("") + "consul: {service: a, query: b, tags: [c], filter: d, near: _agent, failover: [dc2], mesh_gateway: local, only_passing: true}\n",
			`8:19: consul.service: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:29: consul.query: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:38: consul.tags: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:51: consul.filter: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:60: consul.near: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:78: consul.failover: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:99: consul.mesh_gateway: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul
8:120: consul.only_passing: the top level says which agent is asked, not what for; put the key into clusters.NAME.consul`},
		{"the top level's token and token file", with("") + "consul: {token: t, token_file: f}\n",
			"8:32: consul.token_file: does not go with token: expected only one of the keys token, token_file"},
		{"the top level's key without certificate", with("") + "consul: {tls: {key: me.key}}\n",
			"8:15: consul.tls.cert: required key is missing with key; expected the path of a file with the key's certificate"},
		{"address for the top level's Consul", with("") + "consul: 127.0.0.1:8500\n",
			`8:9: consul: expected a mapping, found "127.0.0.1:8500"; did you mean {address: 127.0.0.1:8500}?`},
		{"registration with a check of nothing", with("") + "register: {consul: {check: {interval: 5s}}}\n",
			"8:28: register.consul.check: expected one of the keys http, tcp, grpc"},
		{"registration with two checks", with("") + "register: {consul: {check: {http: 'http://a/', grpc: 'a:80'}}}\n",
			"8:54: register.consul.check.grpc: does not go with http: expected only one of the keys http, tcp, grpc"},
		{"registration as a switch", with("") + "register: {consul: true}\n", "8:20: register.consul: expected a mapping, found true; did you mean {}?"},
		{"registration with host and port in one", with("") + "register: {consul: {address: 'a:80'}}\n",
			`8:30: register.consul.address: expected a host name or an IP address, found "a:80": "a:80" is neither a host name nor an IP address`},
		{"catalogue like no cluster", with("") + "catalog: {like: wbe}\n", `8:17: catalog.like: there is no cluster "wbe"; did you mean "web"?`},
		{"suffix with a dot before it", with("") + "catalog: {suffixes: [.mesh]}\n",
			`8:22: catalog.suffixes[0]: expected a name that DNS knows such as api.internal, found ".mesh": ".mesh" is not a host name; did you mean "mesh"?`},
		{"misspelt catalogue of a listener", with("    catalog: konsul\n"),
			`5:14: listeners[0].catalog: expected one of "none", "consul", found "konsul"; did you mean "consul"?`},
		{"network for trusted callers", with("    trusted_callers: 10.0.0.0/8\n"),
			`5:22: listeners[0].trusted_callers: expected a list, each item a network such as 10.0.0.0/8, found "10.0.0.0/8"; did you mean ["10.0.0.0/8"]?`},
		{"zone for the locality", with("") + "locality: eu-1\n", `8:11: locality: expected a mapping, found "eu-1"`},
		{"socket with a long path", with("") + "upgrade_socket: /" + strings.Repeat("a", 107) + "\n",
			`8:17: upgrade_socket: expected the path of a Unix socket, or "@" and a name, found "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...": it has 108 bytes, and a Unix socket's path has at most 107`},

		// Which endpoint.
		{"policy in one word", oneBalance("policy: roundrobin"),
			"3:46: clusters.web.balance.policy: expected one of " + policies + `, found "roundrobin"; did you mean "round_robin"?`},
		{"policy of HAProxy", oneBalance("policy: leastconn"),
			"3:46: clusters.web.balance.policy: expected one of " + policies + `, found "leastconn"; did you mean "least_request"?`},
		{"policy of nginx", oneBalance("policy: least_conn"),
			"3:46: clusters.web.balance.policy: expected one of " + policies + `, found "least_conn"; did you mean "least_request"?`},
		{"policy for balance", oneCluster("{endpoints: [a:80], balance: ewma}"),
			`3:37: clusters.web.balance: expected a mapping, found "ewma"; did you mean {policy: peak_ewma}?`},
		{"policy by another name", oneBalance("algorithm: random"),
			"3:38: clusters.web.balance.algorithm: unknown key; write policy: ... (valid keys: " + balanceKeys + ")"},
		{"ring_hash without hash", oneBalance("policy: ring_hash"),
			`3:37: clusters.web.balance.hash: required key is missing with policy "ring_hash"; expected what requests are told apart by, such as [{header: x-user}]`},
		{"maglev with an empty hash", oneBalance("policy: maglev, hash: []"),
			`3:60: clusters.web.balance.hash: must not be empty with policy "maglev"; expected what requests are told apart by, such as [{header: x-user}]`},
		{"hash without policy", oneBalance("hash: [{header: a}]"),
			`3:44: clusters.web.balance.hash: has no effect with policy "round_robin"; set policy to "ring_hash" or "maglev", or remove the key`},
		{"hash of nothing", oneBalance("policy: maglev, hash: [{terminal: true}]"),
			"3:61: clusters.web.balance.hash[0]: expected one of the keys header, cookie, query, source, path"},
		{"hash of two", oneBalance("policy: maglev, hash: [{header: a, source: true}]"),
			"3:81: clusters.web.balance.hash[0].source: does not go with header: expected only one of the keys header, cookie, query, source, path"},
		{"hash without list", oneBalance("policy: maglev, hash: {header: a}"),
			"3:60: clusters.web.balance.hash: expected a list of mappings, found a mapping; put it in a list: [{...}]"},
		{"hash of a field with a space", oneBalance("policy: maglev, hash: [{header: a b}]"),
			`3:70: clusters.web.balance.hash[0].header: expected the name of a header field, found "a b": RFC 9110 section 5.1 makes a field's name a token`},
		{"hash of a cookie with a space", oneBalance("policy: maglev, hash: [{cookie: a b}]"),
			`3:70: clusters.web.balance.hash[0].cookie: expected the name of a cookie, found "a b": RFC 6265 section 4.1.1 makes a cookie's name a token`},
		{"table that is no prime", oneBalance("table_size: 65536"),
			"3:50: clusters.web.balance.table_size: expected a prime number, found 65536; did you mean 65537?"},
		{"table too large to look for primes", oneBalance("table_size: 9223372036854775783"),
			"3:50: clusters.web.balance.table_size: expected an integer from 2 to 5000011, found 9223372036854775783"},
		{"ring sizes the wrong way round", oneBalance("min_ring_size: 10, max_ring_size: 5"),
			"3:72: clusters.web.balance.max_ring_size: 5 is below min_ring_size, which is 10"},
		{"bounded load below the average", oneBalance("bounded_load: 0.5"),
			"3:52: clusters.web.balance.bounded_load: expected 0 or a number above 1, found 0.5: every endpoint has to take its average"},
		{"bounded load below 0 is one mistake", oneBalance("bounded_load: -1"),
			"3:52: clusters.web.balance.bounded_load: expected a number from 0 to 100, found -1"},
		{"zone aware nowhere", oneBalance("zone_aware: true"),
			"3:50: clusters.web.balance.zone_aware: has no effect without this proxy's zone; set locality.zone at the top level"},
		{"duration for a slow start", oneBalance("slow_start: 30s"),
			`3:50: clusters.web.balance.slow_start: expected a mapping, found "30s"; did you mean {window: 30s}?`},
		{"subsets without selectors", oneBalance("subsets: {fallback: none}"),
			"3:47: clusters.web.balance.subsets.selectors: required key is missing; expected a list of mappings"},
		{"selector of no key", oneBalance("subsets: {selectors: [{keys: []}]}"),
			"3:67: clusters.web.balance.subsets.selectors[0].keys: must not be empty; expected a list, each item a string"},
		{"fallback to no default", oneBalance("subsets: {selectors: [{keys: [a]}], fallback: default}"),
			`3:47: clusters.web.balance.subsets.default: required key is missing with fallback "default"; expected the metadata of the default subset, such as {version: v1}`},
		{"default without fallback", oneBalance("subsets: {selectors: [{keys: [a]}], default: {a: b}}"),
			`3:83: clusters.web.balance.subsets.default: has no effect with fallback "any"; set fallback to "default", or remove the key`},
		{"subset of a cluster without subsets", oneSubset("{}"),
			`2:72: listeners[0].routes[0].subset: cluster "web" has no subsets; add clusters.web.balance.subsets, with a selector of the keys [version], or remove the key`},
		{"subset that no selector has", oneSubset("{subsets: {selectors: [{keys: [version, stage]}, {keys: [stage]}]}}"),
			`2:72: listeners[0].routes[0].subset: no selector of cluster "web" has the keys [version] and no other; add one to clusters.web.balance.subsets.selectors`},
		{"subset of broken subsets is one mistake", oneSubset("{subsets: {selectors: 5}}"),
			"1:68: clusters.web.balance.subsets.selectors: expected a list of mappings, found 5"},

		// Staying up.
		{"retry on nothing", oneRetry("attempts: 2"),
			"3:35: clusters.web.retry.on: required key is missing; expected a list, each item one of " + retryWords},
		{"retry on an empty list", oneRetry("on: []"), "3:40: clusters.web.retry.on: must not be empty; expected a list, each item one of " + retryWords},
		{"retry on a word", oneRetry("on: 5xx"),
			"3:40: clusters.web.retry.on: expected a list, each item one of " + retryWords + `, found "5xx"; did you mean ["5xx"]?`},
		{"retry on Envoy's list", oneRetry("on: '5xx,connect_failure'"),
			"3:40: clusters.web.retry.on: expected a list, each item one of " + retryWords + `, found "5xx,connect_failure"; did you mean ["5xx", connect-failure]?`},
		{"retry on a status", oneRetry("on: 503"),
			"3:40: clusters.web.retry.on: expected a list, each item one of " + retryWords + ", found 503; did you mean [gateway-error]?"},
		{"retry on statuses", oneRetry("on: [503]"),
			"3:41: clusters.web.retry.on[0]: expected one of " + retryWords + `, found 503; did you mean "gateway-error"?`},
		{"retry with an underscore", oneRetry("on: [gateway_error]"),
			"3:41: clusters.web.retry.on[0]: expected one of " + retryWords + `, found "gateway_error"; did you mean "gateway-error"?`},
		{"retry on statuses that are not given", oneRetry("on: [retriable-status-codes]"),
			`3:35: clusters.web.retry.statuses: required key is missing with "retriable-status-codes" in on; expected statuses such as [429]`},
		{"retry on no statuses", oneRetry("on: [retriable-status-codes], statuses: []"),
			`3:76: clusters.web.retry.statuses: must not be empty with "retriable-status-codes" in on; expected statuses such as [429]`},
		{"retry on fields that are not given", oneRetry("on: [retriable-headers]"),
			`3:35: clusters.web.retry.headers: required key is missing with "retriable-headers" in on; expected response fields such as [x-retry]`},
		{"retry with statuses and fields for nothing", oneRetry("on: [reset], statuses: [429], headers: [a]"),
			`3:59: clusters.web.retry.statuses: has no effect without "retriable-status-codes" in on; add it there, or remove the key
3:75: clusters.web.retry.headers: has no effect without "retriable-headers" in on; add it there, or remove the key`},
		{"retry with a misspelt word is one mistake", oneRetry("on: [retriable-status-code], statuses: [429]"),
			"3:41: clusters.web.retry.on[0]: expected one of " + retryWords + `, found "retriable-status-code"; did you mean "retriable-status-codes"?`},
		{"retry on one status", oneRetry("on: [retriable-status-codes], statuses: 503"),
			"3:76: clusters.web.retry.statuses: expected a list, each item an integer from 100 to 599, found 503; did you mean [503]?"},
		{"retry on a status out of range", oneRetry("on: [retriable-status-codes], statuses: [600]"),
			"3:77: clusters.web.retry.statuses[0]: expected an integer from 100 to 599, found 600"},
		{"retry on a field with a space", oneRetry("on: [retriable-headers], headers: [a b]"),
			`3:71: clusters.web.retry.headers[0]: expected the name of a header field, found "a b": RFC 9110 section 5.1 makes a field's name a token`},
		{"retry never", oneRetry("on: [reset], attempts: 0"), "3:59: clusters.web.retry.attempts: expected an integer from 1 to 100, found 0"},
		{"retry with Envoy's count", oneRetry("on: [reset], num_retries: 3"),
			"3:49: clusters.web.retry.num_retries: unknown key; write attempts, which counts the first time too (valid keys: " + retryKeys + ")"},
		{"back-off the wrong way round", oneRetry("on: [reset], backoff: {base: 1s}"),
			"3:58: clusters.web.retry.backoff.max: 250ms is below base, which is 1s"},
		{"back-off of a wrong type is one mistake", oneRetry("on: [reset], backoff: {base: x, max: 1ms}"),
			`3:65: clusters.web.retry.backoff.base: expected a duration such as 250ms, found "x"`},
		{"number for a budget", oneRetry("on: [reset], budget: 20"),
			"3:57: clusters.web.retry.budget: expected a mapping, found 20; did you mean {percent: 20}?"},
		{"per cent sign", oneRetry("on: [reset], budget: {percent: 20%}"),
			`3:67: clusters.web.retry.budget.percent: expected a number from 0 to 100, found "20%"; did you mean 20?`},
		{"back-off of a route the wrong way round", oneRoute("{cluster: web, retry: {on: [reset], backoff: {base: 1s}}}"),
			"6:50: listeners[0].routes[0].retry.backoff.max: 250ms is below base, which is 1s"},
		{"number for retries", oneCluster("{endpoints: [a:80], retry: 3}"),
			"3:35: clusters.web.retry: expected a mapping, found 3; did you mean {on: [connect-failure], attempts: 4}?"},
		{"retries", oneCluster("{endpoints: [a:80], retries: 3}"),
			"3:28: clusters.web.retries: unknown key; write retry: {on: [connect-failure], attempts: ...} (valid keys: " + clusterKeys + ")"},
		{"retries of a route", oneRoute("{cluster: web, retries: 3}"),
			"6:20: listeners[0].routes[0].retries: unknown key; write retry: {on: [connect-failure], attempts: ...} (valid keys: " + routeKeys + ")"},
		{"load balancer", oneCluster("{endpoints: [a:80], load_balancer: round_robin}"),
			"3:28: clusters.web.load_balancer: unknown key; write balance: {policy: ...} (valid keys: " + clusterKeys + ")"},
		{"max_connections before circuit_breaker", oneCluster("{endpoints: [a:80], max_connections: 5}"),
			"3:28: clusters.web.max_connections: unknown key; write circuit_breaker: {max_connections: ...} (valid keys: " + clusterKeys + ")"},
		{"maxPending in camel case", oneCluster("{endpoints: [a:80], maxPending: 5}"),
			"3:28: clusters.web.maxPending: unknown key; write circuit_breaker: {max_pending: ...} (valid keys: " + clusterKeys + ")"},
		{"outlier detection", oneCluster("{endpoints: [a:80], outlier_detection: {}}"),
			"3:28: clusters.web.outlier_detection: unknown key; write outlier: {...} (valid keys: " + clusterKeys + ")"},
		{"service of a cluster", oneCluster("{service: payments}"),
			"3:9: clusters.web.service: unknown key; write consul: {service: ...} (valid keys: " + clusterKeys + ")"},
		{"servers of a cluster", oneCluster("{servers: [a:80]}"),
			"3:9: clusters.web.servers: unknown key; write endpoints: [...] (valid keys: " + clusterKeys + ")"},
		{"outlier as a switch", oneCluster("{endpoints: [a:80], outlier: true}"),
			"3:37: clusters.web.outlier: expected a mapping, found true; did you mean {}?"},
		{"duration for hedging", oneCluster("{endpoints: [a:80], hedge: 200ms}"),
			`3:35: clusters.web.hedge: expected a mapping, found "200ms"; did you mean {after: 200ms}?`},
		{"hedging without time", oneCluster("{endpoints: [a:80], hedge: {}}"),
			"3:35: clusters.web.hedge.after: required key is missing; expected a duration such as 250ms"},
		{"hedging after nothing", oneCluster("{endpoints: [a:80], hedge: {after: 0s}}"),
			"3:43: clusters.web.hedge.after: expected a duration of at least 1ms, found 0s"},
		{"health check of nothing", oneHealthCheck("{}"), "3:44: clusters.web.health_checks[0]: expected one of the keys http, tcp, grpc"},
		{"health check of two", oneHealthCheck("{http: {path: /}, tcp: {}}"),
			"3:67: clusters.web.health_checks[0].tcp: does not go with http: expected only one of the keys http, tcp, grpc"},
		{"health check with a path alone", oneHealthCheck("{http: /health}"),
			`3:51: clusters.web.health_checks[0].http: expected a mapping, found "/health"; did you mean {path: /health}?`},
		{"health check without path", oneHealthCheck("{http: {}}"),
			"3:51: clusters.web.health_checks[0].http.path: required key is missing; expected a path such as /api/"},
		{"health check without list", oneCluster("{endpoints: [a:80], health_checks: {tcp: {}}}"),
			"3:43: clusters.web.health_checks: expected a list of mappings, found a mapping; put it in a list: [{...}]"},
		{"health check with a number of seconds", oneHealthCheck("{tcp: {}, interval: 10}"),
			"3:64: clusters.web.health_checks[0].interval: expected a duration such as 250ms, found 10; did you mean 10s?"},
		{"health check with one status", oneHealthCheck("{http: {path: /, statuses: 503}}"),
			`3:71: clusters.web.health_checks[0].http.statuses: expected a list, each item a status or a range of them such as 200 or 200-299, found 503; did you mean ["503"]?`},
		{"health check with a class of statuses", oneHealthCheck("{http: {path: /, statuses: [2xx]}}"),
			`3:72: clusters.web.health_checks[0].http.statuses[0]: expected a status or a range of them such as 200 or 200-299, found "2xx": "2xx" is not a status; did you mean "200-299"?`},
		{"health check with statuses the wrong way round", oneHealthCheck("{http: {path: /, statuses: [299-200]}}"),
			`3:72: clusters.web.health_checks[0].http.statuses[0]: expected a status or a range of them such as 200 or 200-299, found "299-200": the range ends before it begins`},
		{"health check with a status out of range", oneHealthCheck("{http: {path: /, statuses: [600]}}"),
			`3:72: clusters.web.health_checks[0].http.statuses[0]: expected a status or a range of them such as 200 or 200-299, found "600": "600" is not a status`},
		{"health check without statuses", oneHealthCheck("{http: {path: /, statuses: []}}"),
			"3:71: clusters.web.health_checks[0].http.statuses: must not be empty; expected a list, each item a status or a range of them such as 200 or 200-299"},
		{"health check with a field with a space", oneHealthCheck("{http: {path: /, headers: {a b: t0ps3cret}}}"),
			`3:76: clusters.web.health_checks[0].http.headers["a b"]: expected the name of a header field, found "a b"`},
	}
}
