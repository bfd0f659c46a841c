package main

// mesh is the page for a bad day: its top row names the culprit.
func mesh() *board {
	requests := of("hopscope_requests_total", inbound)
	failures := of("hopscope_failures_total", inbound, notClients)
	blame := of("hopscope_blame_total")
	b := page("mesh", "Mesh: who is failing, and whose fault is it?",
		"All services: who is at fault for the failures of clients, and rate, errors, duration and saturation of each service.",
		services("Service"))

	b.WithPanel(sorted(sheet("Who is at fault",
		"Each failed request of a client once, by who is at fault for it, in the time that is shown. \"payments -> bank\" is a call of payments that did not reach bank. No row: no request of a client failed.",
		[]column{
			{field: "culprit", title: "At fault", links: append(here("now"), toConsole("Its failed traces in the console", "traces?failed=1&culprit=${__data.fields.culprit:percentencode}"))},
			{field: "kind", title: "What happens", texts: kinds()},
			{field: "part", title: "Where", texts: parts, width: 150},
			{field: "Value #A", title: "Share of failures", unit: ratio, gauge: true, width: 220},
			{field: "Value #B", title: "Failed requests", unit: count, width: 130},
		},
		top(10, shareOfAll("culprit, kind, part", blame)),
		top(10, sum("culprit, kind, part", total(blame)))), "Share of failures").
		NoValue("Nobody: no request of a client failed").
		Span(16).Height(8))
	b.WithPanel(failing("Failures of clients, by culprit",
		"Failed requests a second, each counted once, where it entered the mesh. Points are exemplars: click one to see its trace.",
		perSecond, query{top(8, sum("culprit", rate(blame))), "{{culprit}}"}).Span(8).Height(8))

	b.WithPanel(figure("Failed requests of clients", "Failed requests a second, each counted once, where it entered the mesh.",
		perSecond, query{orZero(sum("", rate(blame))), "failed"}, 0.001, 1).Span(6))
	b.WithPanel(figure("Services that fail", "Services that failed more than 1 % of the requests that came to them, whoever was at fault.",
		count, query{"count(" + share("service", failures, requests) + " > 0.01) or vector(0)", "failing"}, 1, 3).Decimals(0).Span(6))
	b.WithPanel(figure("Slowest service, p99", "The longest p99 of all services: 1 % of its requests took longer.",
		seconds, query{"max(" + quantile(0.99, "service", of(serverBuckets)) + ")", "p99"}, 1, 5).Span(6))
	b.WithPanel(figure("Ejected endpoints", "Endpoints that are ejected as outliers, or by hand, as each proxy sees it.",
		count, query{orZero(sum("", of("hopscope_endpoints_ejected"))), "ejected"}, 1, 5).Decimals(0).Span(6))

	b.WithPanel(sorted(sheet("Services",
		"Requests to each service, as its own proxies see them. Failures are those that are not the client's own, whoever is at fault. The fullest limit is the largest part in use of the limits on connections, memory and circuit breakers.",
		[]column{
			{field: "service", title: "Service", links: here("service/${__data.fields.service:percentencode}")},
			{field: "Value #A", title: "Requests", unit: perSecond, width: 130},
			{field: "Value #B", title: "Fail", unit: "percentunit", steps: []float64{0.001, 0.01}, width: 110},
			{field: "Value #C", title: "p50", unit: seconds, width: 110},
			{field: "Value #D", title: "p90", unit: seconds, width: 110},
			{field: "Value #E", title: "p99", unit: seconds, steps: []float64{1, 5}, width: 110},
			{field: "Value #F", title: "Fullest limit", unit: ratio, steps: []float64{0.7, 0.9}, width: 130},
		},
		sum("service", rate(requests)),
		share("service", failures, requests),
		quantile(0.5, "service", of(serverBuckets)),
		quantile(0.9, "service", of(serverBuckets)),
		quantile(0.99, "service", of(serverBuckets)),
		largest("service", fullest())), "Fail").Height(9))

	b.WithPanel(lines("Requests, by service", "Requests a second to each service.", perSecond,
		query{top(10, sum("service", rate(requests))), "{{service}}"}).DataLinks(links(hereBySeries()...)))
	b.WithPanel(failing("Share that fails, by service", "What part of the requests to each service fails, whoever is at fault: a fault deep in the mesh shows at every service before it.", ratio,
		query{top(10, share("service", failures, requests)+" > 0"), "{{service}}"}).DataLinks(links(hereBySeries()...)))
	b.WithPanel(lines("p99, by service", "1 % of the requests to the service take longer. Points are exemplars: click one to see its trace.", seconds,
		query{top(10, quantile(0.99, "service", of(serverBuckets))), "{{service}}"}).DataLinks(links(hereBySeries()...)))

	b.WithRow(row("Why do they fail?",
		failing("Failures of clients, by kind", "What happened, and in which part of whom.", perSecond,
			query{top(8, sum("kind, part", rate(blame))), "{{kind}} ({{part}})"}).Span(12),
		flags("Response flags, all services", of("hopscope_requests_total", `flag!=""`)).Span(12)))
	b.WithRow(row("Is anything full?",
		lines("Fullest limit, by service", "The largest part in use of the limits on connections, memory and circuit breakers.", ratio,
			query{top(10, largest("service", fullest())), "{{service}}"}),
		lines("Requests on their way", "Requests that each service is serving.", count,
			query{top(10, sum("service", of("hopscope_downstream_requests_active", inbound))), "{{service}}"}),
		failing("Refused for a limit", "Requests that a circuit breaker, a retry budget or the limit on memory turned away.", events,
			query{top(5, sum("service, cluster, breaker", rate(of("hopscope_circuit_breaker_refused_total")))), "{{service}} -> {{cluster}}: {{breaker}}"},
			query{top(5, sum("service, what", rate(of("hopscope_overload_refused_total")))), "{{service}}: {{what}} (memory)"})))
	return b
}

// here returns the links of a row of a table: to its page in the console and, for a
// service, to its dashboard.
func here(path string) []link {
	all := []link{toConsole("See it in the console", "%s", path)}
	if path != "now" {
		all = append(all, toBoard("Its dashboard", "service", "var-service=${__data.fields.service:percentencode}"))
	}
	return all
}

// hereBySeries is the same for a series with the label service.
func hereBySeries() []link {
	return []link{
		toConsole("See ${__field.labels.service} in the console", "service/${__field.labels.service:percentencode}"),
		toBoard("The dashboard of ${__field.labels.service}", "service", "var-service=${__field.labels.service:percentencode}"),
	}
}

// fullest is the part in use of each limit of a proxy.
func fullest() string {
	const on = " / on (job, instance, service, cluster, priority) "
	limit := func(breaker string) string {
		return "(" + of("hopscope_circuit_breaker_limit", `breaker="`+breaker+`"`) + " > 0)"
	}
	connections := sum("job, instance, service", of("hopscope_downstream_connections_active")) +
		" / on (job, instance, service) (" + of("hopscope_downstream_connections_limit") + " > 0)"
	memory := of("hopscope_overload_memory_bytes") + " / (" + of("hopscope_overload_memory_limit_bytes") + " > 0)"
	return named("connections", connections) +
		" or " + named("memory", memory) +
		" or " + named("requests", of("hopscope_upstream_requests_active")+on+limit("requests")) +
		" or " + named("pending", of("hopscope_upstream_requests_pending")+on+limit("pending"))
}

// named keeps series of one metric apart from those of another with the same labels.
func named(limit, expr string) string {
	return `label_replace(` + expr + `, "limit", "` + limit + `", "", "")`
}
