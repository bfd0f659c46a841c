package main

// edge is one connection of the mesh, with both of its ends side by side: what the caller
// sees and the callee does not happened between them.
func edge() *board {
	const cluster = `cluster=~"$cluster"`
	const calleeItself = `service=~"$cluster"`
	calls := of("hopscope_requests_total", outbound, cluster)
	failedCalls := of("hopscope_failures_total", outbound, notClients, cluster)
	served := proxies("hopscope_requests_total", inbound, calleeItself)
	failedServed := proxies("hopscope_failures_total", inbound, notClients, calleeItself)
	calleeBuckets := proxies(serverBuckets, calleeItself)
	b := page("edge", "Edge: is it the caller, the callee, or what is between?",
		"One service calls another: both ends side by side. What only the caller sees happened between the two. Choose both above.",
		services("Caller"), clusters("Callee"))

	b.WithPanel(figure("Calls", "Calls a second.", perSecond, query{orZero(sum("", rate(calls))), "calls"}).Span(6))
	b.WithPanel(figure("Fail, for the caller", "What part of the calls fails, retries included, as the caller's proxy sees it.", ratio,
		query{share("", failedCalls, calls), "fail"}, 0.001, 0.01).Span(6))
	b.WithPanel(figure("Fail, at the callee", "What part of all requests to the callee fails, as its own proxy sees it: of this caller and of others. No data: the callee has no hopscope.", ratio,
		query{share("", failedServed, served), "fail"}, 0.001, 0.01).NoValue("no proxy").Span(6))
	b.WithPanel(figure("Tries a call", "How many endpoints were tried for a call: more than 1 means retries.", count,
		query{sum("", rate(of("hopscope_attempts_total", outbound, cluster))) + " / (" + sum("", rate(calls)) + " > 0)", "tries"}, 1.1, 1.5).Decimals(2).Span(6))

	b.WithPanel(sorted(sheet("Whose fault is it when these calls fail?",
		"Calls that failed in the time that is shown, by who is at fault. No row: none failed.",
		[]column{
			{field: "service", title: "Caller", links: here("service/${__data.fields.service:percentencode}")},
			{field: "cluster", title: "Callee", links: []link{
				toConsole("See the edge in the console", "edge/${__data.fields.service:percentencode}/${__data.fields.cluster:percentencode}")}},
			{field: "failed_hop", title: "At fault"},
			{field: "kind", title: "What happens", texts: kinds()},
			{field: "part", title: "Where", texts: parts, width: 150},
			{field: "Value", title: "Failed calls", unit: count, width: 120},
		},
		top(10, sum("service, cluster, failed_hop, kind, part", total(failedCalls)))), "Failed calls").
		NoValue("Nobody: no call failed").Height(6))

	b.WithPanel(failing("Share that fails: for the caller", "What part of its calls fails, retries included.", ratio,
		query{top(10, share("service, cluster", failedCalls, calls)+" > 0"), "{{service}} -> {{cluster}}"}).Max(1).Span(12))
	b.WithPanel(failing("Share that fails: at the callee", "What part of all requests to the callee fails, as its own proxy sees it. If the caller's end fails and this one does not, the fault is between them.", ratio,
		query{top(10, share("service", failedServed, served)+" > 0"), "{{service}}"}).Max(1).Span(12))
	b.WithPanel(latency("Duration: for the caller", "How long calls take, retries and the network included. Points are exemplars.", of(clientBuckets, cluster)).Span(12))
	b.WithPanel(latency("Duration: at the callee", "How long the callee takes for all of its requests. What the caller waits longer is spent between them. Points are exemplars.", calleeBuckets).Span(12))

	b.WithRow(row("What happens to single tries?",
		lines("Tries, by status", "Tries at an endpoint: status 0 where no response began.", perSecond,
			query{top(10, sum("code", rate(of("hopscope_attempts_total", outbound, cluster)))), "{{code}}"}),
		flags("Response flags of tries", of("hopscope_attempts_total", outbound, cluster, `flag!=""`)),
		lines("p99 of a try", "1 % of the tries at an endpoint take longer.", seconds,
			query{top(10, quantile(0.99, "service, cluster", of("hopscope_attempt_duration_seconds_bucket", outbound, cluster))), "{{service}} -> {{cluster}}"})))
	b.WithRow(row("Are there connections enough?",
		stacked(lines("Connections to the callee", "Open connections by state.", count,
			query{sum("state", of("hopscope_upstream_connections", cluster)), "{{state}}"})),
		lines("Where connections come from", "Connections that requests were given: from the pool, dialled anew, or refused.", events,
			query{sum("source", rate(of("hopscope_upstream_connections_total", cluster))), "{{source}}"}),
		lines("On their way, and waiting", "Calls under way, and those that wait for a connection.", count,
			query{sum("", of("hopscope_upstream_requests_active", cluster)), "on their way"},
			query{sum("", of("hopscope_upstream_requests_pending", cluster)), "waiting"}),
		stacked(lines("Endpoints, by health", "Endpoints of the callee, as the caller sees them.", count,
			query{sum("health", of("hopscope_endpoints", cluster)), "{{health}}"})).Span(12),
		lines("Choices that were no ordinary ones", "How often an endpoint was chosen in panic, in another zone, by failover, and so on.", events,
			query{top(10, sum("outcome", rate(of("hopscope_picks_total", cluster)))), "{{outcome}}"}).Span(12)))
	return b
}
