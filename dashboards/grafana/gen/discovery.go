package main

// discovery is about where endpoints come from: Consul, DNS, files.
func discovery() *board {
	const cluster = `cluster=~"$cluster"`
	b := page("discovery", "Discovery: do the proxies know where their services are?",
		"Consul, DNS and files as sources of endpoints: what is stale or unknown, and which endpoints came and went.",
		services("Service"), clusters("Cluster"))

	b.WithPanel(figure("Stale sources", "Sources that can't be asked, so that their last answer is in use.", count,
		query{orZero(sum("", of("hopscope_discovery_stale"))), "stale"}, 1, 3).Decimals(0).Span(6))
	b.WithPanel(figure("Unknown sources", "Sources that have never answered: requests to their clusters fail.", count,
		query{"count(" + of("hopscope_discovery_known") + " == 0) or vector(0)", "unknown"}, 1).Decimals(0).Span(6))
	b.WithPanel(figure("Oldest answer", "Age of the oldest answer in use.", seconds,
		query{"max(" + of("hopscope_discovery_age_seconds") + ")", "age"}, 300, 3600).NoValue("no source to ask").Span(6))
	b.WithPanel(figure("Clusters in panic", "Clusters so few of whose endpoints are healthy that all are used.", count,
		query{orZero(sum("", of("hopscope_cluster_panic", cluster))), "panic"}, 1).Decimals(0).Span(6))

	b.WithPanel(sheet("Sources", "Each source of endpoints, as each service's proxies see it. A row without a cluster is the catalog.",
		[]column{
			{field: "service", title: "Service", links: here("service/${__data.fields.service:percentencode}")},
			{field: "cluster", title: "Cluster"},
			{field: "source", title: "Source"},
			{field: "Value #A", title: "State", texts: colours(map[string][2]string{"0": {"fresh", "green"}, "1": {"stale", "red"}}), steps: []float64{1}, width: 120},
			{field: "Value #B", title: "Known", texts: colours(map[string][2]string{"1": {"yes", "green"}, "0": {"never answered", "red"}}), width: 140},
			{field: "Value #C", title: "Age of its answer", unit: seconds, width: 160},
		},
		largest("service, cluster, source", of("hopscope_discovery_stale")),
		"min by (service, cluster, source) ("+of("hopscope_discovery_known")+")",
		largest("service, cluster, source", of("hopscope_discovery_age_seconds"))).Height(8))

	b.WithPanel(stacked(lines("Endpoints, by health", "Endpoints of the chosen clusters, as the proxies see them.", count,
		query{sum("health", of("hopscope_endpoints", cluster)), "{{health}}"})))
	b.WithPanel(lines("Endpoints that are healthy, by cluster", "The clusters with the fewest healthy endpoints, as the proxy sees it that sees the fewest.", count,
		query{"bottomk(10, min by (cluster) (" + of("hopscope_endpoints", cluster, `health="healthy"`) + ") and " +
			sum("cluster", of("hopscope_endpoints", cluster)) + " > 0)", "{{cluster}}"}))
	b.WithPanel(lines("Endpoints that came and went", "Changes of the set of endpoints, a second.", events,
		query{top(10, sum("cluster, change", rate(of("hopscope_discovery_endpoint_changes_total", cluster)))), "{{cluster}}: {{change}}"}).NoValue("Nothing changed"))
	b.WithPanel(lines("Age of answers", "How old the answers in use are. It grows while a source can't be asked.", seconds,
		query{top(10, largest("service, cluster, source", of("hopscope_discovery_age_seconds"))), "{{service}}, {{cluster}}: {{source}}"}).Span(12))
	b.WithPanel(lines("Answers, by result", "Answers of the sources, a second.", events,
		query{top(10, sum("source, result", rate(of("hopscope_discovery_updates_total")))), "{{source}}: {{result}}"}).Span(12))

	b.WithRow(row("What do proxies do with the endpoints?",
		lines("Choices that were no ordinary ones", "How often an endpoint was chosen in panic, in another zone, by failover, and so on.", events,
			query{top(10, sum("cluster, outcome", rate(of("hopscope_picks_total", cluster)))), "{{cluster}}: {{outcome}}"}),
		lines("Ejected", "Endpoints that are ejected as outliers, or by hand.", count,
			query{top(10, sum("service, cluster", of("hopscope_endpoints_ejected", cluster))+" > 0"), "{{service}} -> {{cluster}}"}).NoValue("None is ejected"),
		lines("Writes of the cache", "Times that the cache of discovery was written, by result: a restart begins with what it holds.", events,
			query{sum("service, result", rate(of("hopscope_discovery_cache_writes_total"))), "{{service}}: {{result}}"}).NoValue("No cache is written")))
	return b
}
