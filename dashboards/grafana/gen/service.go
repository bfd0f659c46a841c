package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// service is all about one service: what comes in, what it calls, and why it fails.
func service() *board {
	const route, cluster = `route=~"$route"`, `cluster=~"$cluster"`
	requests := of("hopscope_requests_total", inbound, route)
	failures := of("hopscope_failures_total", inbound, notClients, route)
	b := page("service", "Service: is it well, and if not, why?",
		"One service: its requests by route and caller, its calls, its response flags in words, its retries, ejections and limits. Choose it above.",
		services("Service"), routes(), clusters("Cluster"))

	b.WithPanel(figure("Requests", "Requests a second to the service.", perSecond, query{orZero(sum("", rate(requests))), "requests"}))
	b.WithPanel(figure("Fail", "What part of its requests fails, whoever is at fault.", ratio,
		query{share("", failures, requests), "fail"}, 0.001, 0.01))
	b.WithPanel(figure("p99", "1 % of its requests take longer.", seconds, query{quantile(0.99, "", of(serverBuckets)), "p99"}, 1, 5))
	b.WithPanel(figure("On their way", "Requests that it is serving.", count,
		query{orZero(sum("", of("hopscope_downstream_requests_active", inbound))), "active"}).Decimals(0))
	b.WithPanel(figure("Slow, still on their way", "Requests that have already taken longer than their route's slow threshold.", count,
		query{orZero(sum("", of("hopscope_slow_requests_active", inbound))), "slow"}, 1, 10).Decimals(0))
	b.WithPanel(figure("Ejected endpoints", "Endpoints of the clusters that it calls, and its own, that are ejected.", count,
		query{orZero(sum("", of("hopscope_endpoints_ejected", cluster))), "ejected"}, 1, 5).Decimals(0))

	b.WithPanel(sorted(sheet("Whose fault is it when this service fails?",
		"Requests to the service that failed in the time that is shown, by who is at fault. The service at fault may be one far behind it. No row: none failed.",
		[]column{
			{field: "failed_hop", title: "At fault", links: []link{
				toConsole("See it in the console", "service/${__data.fields.failed_hop:percentencode}"),
				toBoard("Its dashboard", "service", "var-service=${__data.fields.failed_hop:percentencode}")}},
			{field: "kind", title: "What happens", texts: kinds()},
			{field: "part", title: "Where", texts: parts, width: 170},
			{field: "Value #A", title: "Share of failures", unit: ratio, gauge: true, width: 240},
			{field: "Value #B", title: "Failed requests", unit: count, width: 140},
		},
		top(10, shareOfAll("failed_hop, kind, part", failures)),
		top(10, sum("failed_hop, kind, part", total(failures)))), "Share of failures").
		NoValue("Nobody: no request failed").Height(6))

	b.WithPanel(lines("Requests, by route", "Requests a second to each route.", perSecond,
		query{top(10, sum("route", rate(requests))), "{{route}}"}))
	b.WithPanel(failing("Share that fails, by route", "What part of the requests to each route fails, whoever is at fault.", ratio,
		query{top(10, share("route", failures, requests)+" > 0"), "{{route}}"}))
	b.WithPanel(latency("Duration", "How long requests take. Points are exemplars: click one to see its trace.", of(serverBuckets)))

	b.WithRow(row("Which requests are the slowest?",
		spread("Durations", "How many requests took how long. Points are exemplars: click one to see its trace.", of(serverBuckets)),
		lines("p99, by route", "1 % of the requests to the route, or to the gRPC method, take longer. Points are exemplars.", seconds,
			query{top(10, quantile(0.99, "route, rpc_method", of(serverBuckets))), "{{route}} {{rpc_method}}"}).Span(24)))

	toIt := proxies("hopscope_requests_total", outbound, `cluster=~"$service"`)
	failedToIt := proxies("hopscope_failures_total", outbound, notClients, `cluster=~"$service"`)
	b.WithRow(row("Who calls it?",
		lines("Requests, by caller", "Calls of other services in the mesh, as their own proxies see them. Clients outside the mesh are not among them.", perSecond,
			query{top(10, sum("service", rate(toIt))), "{{service}}"}).DataLinks(links(hereBySeries()...)),
		failing("Share that fails, by caller", "What part of each caller's calls fails, as its own proxy sees it.", ratio,
			query{top(10, share("service", failedToIt, toIt)+" > 0"), "{{service}}"}).DataLinks(links(hereBySeries()...)),
		lines("p99, by caller", "1 % of its calls take longer, retries included, as its own proxy sees it.", seconds,
			query{top(10, quantile(0.99, "service", proxies(clientBuckets, `cluster=~"$service"`))), "{{service}}"}).DataLinks(links(hereBySeries()...))))

	calls := of("hopscope_requests_total", outbound, cluster)
	failedCalls := of("hopscope_failures_total", outbound, notClients, cluster)
	b.WithRow(row("What does it call?",
		lines("Calls, by cluster", "Calls a second that it makes.", perSecond,
			query{top(10, sum("cluster", rate(calls))), "{{cluster}}"}).DataLinks(links(edgeBySeries()...)),
		failing("Share that fails, by cluster", "What part of its calls fails, retries included.", ratio,
			query{top(10, share("cluster", failedCalls, calls)+" > 0"), "{{cluster}}"}).DataLinks(links(edgeBySeries()...)),
		lines("p99, by cluster", "1 % of its calls take longer, retries included.", seconds,
			query{top(10, quantile(0.99, "cluster", of(clientBuckets, cluster))), "{{cluster}}"}).DataLinks(links(edgeBySeries()...))))

	flagged := of("hopscope_requests_total", route, `flag!=""`)
	b.WithRow(row("What do its response flags say?",
		flags("Response flags", flagged).Span(10).Height(9),
		sheet("What they mean", "Requests by their first response flag, in the time that is shown, and what to look at first.",
			[]column{
				{field: "flag", title: "Flag", width: 70},
				{field: "Value", title: "Requests", unit: count, width: 100},
				{field: "meaning", title: "What it means", texts: flagMeanings()},
				{field: "next", title: "Look at", texts: flagNext()},
			},
			copied("next", "flag", copied("meaning", "flag", sum("flag", total(flagged))+" > 0"))).
			NoValue("No response had a flag").Span(14).Height(9)))

	b.WithRow(row("Are its endpoints well, and do limits bite?",
		stacked(lines("Endpoints, by health", "Endpoints of the clusters that it calls, and its own, as its proxies see them. Each endpoint by name is in the console.", count,
			query{sum("health", of("hopscope_endpoints", cluster)), "{{health}}"})),
		lines("Outlier detection", "Endpoints that were ejected and taken back, and why.", events,
			query{top(10, sum("cluster, event, reason", rate(of("hopscope_outlier_events_total", cluster)))), "{{cluster}}: {{event}} ({{reason}})"}),
		lines("Retries", "Retries a second that were let through.", events,
			query{top(10, sum("cluster", rate(of("hopscope_retries_total", cluster)))), "{{cluster}}"}),
		failing("Refused by a circuit breaker", "Requests and retries that a circuit breaker, or a retry budget, did not let through.", events,
			query{top(10, sum("cluster, breaker", rate(of("hopscope_circuit_breaker_refused_total", cluster)))), "{{cluster}}: {{breaker}}"}),
		lines("Circuit breakers, in use", "What part of each circuit breaker's requests is on its way.", ratio,
			query{top(10, largest("cluster", of("hopscope_upstream_requests_active", cluster)+" / on (job, instance, service, cluster, priority) ("+
				of("hopscope_circuit_breaker_limit", cluster, `breaker="requests"`)+" > 0)")), "{{cluster}}"}),
		lines("Waiting for a connection", "Requests that wait for a connection to an endpoint.", count,
			query{top(10, sum("cluster", of("hopscope_upstream_requests_pending", cluster))), "{{cluster}}"})))
	return b
}

// flags are response flags over time, each with its meaning beside it.
func flags(title, series string) *timeseries.PanelBuilder {
	p := failing(title, "Requests a second by their first response flag: why a proxy failed them.", perSecond,
		query{top(10, sum("flag", rate(series))), "{{flag}}"}).
		NoValue("No response has a flag")
	for _, f := range allFlags() {
		p.OverrideByName(f.code, text(f.code+": "+f.meaning))
	}
	return p
}

// edgeBySeries are the links of a series with the label cluster to the edge that it is.
func edgeBySeries() []link {
	return []link{
		toConsole("See ${service} -> ${__field.labels.cluster} in the console", "edge/${service:percentencode}/${__field.labels.cluster:percentencode}"),
		toBoard("The edge to ${__field.labels.cluster}", "edge", "${service:queryparam}", "var-cluster=${__field.labels.cluster:percentencode}"),
	}
}
