package main

// proxy is about hopscope itself, and not about the traffic.
func proxy() *board {
	b := page("proxy", "Proxy: are the proxies themselves well?",
		"The hopscope processes: CPU, memory, connections, what telemetry lost, what configuration and version they run.",
		services("Service"))

	b.WithPanel(figure("Proxies", "Proxies that Prometheus can ask.", count, query{"count(" + of("hopscope_build_info") + ")", "proxies"}).Decimals(0))
	b.WithPanel(figure("Not ready", "Proxies that are not ready for traffic.", count,
		query{"count(" + of("hopscope_ready") + " == 0) or vector(0)", "not ready"}, 1).Decimals(0))
	b.WithPanel(figure("Reload failed", "Proxies whose last reload failed: they run an old configuration, and their log says why.", count,
		query{"count(" + of("hopscope_config_last_reload_successful") + " == 0) or vector(0)", "failed"}, 1).Decimals(0))
	b.WithPanel(figure("Telemetry lost", "Hops, or what was made of them, that a view lost, a second.", events,
		query{orZero(sum("", rate(of("hopscope_telemetry_dropped_total")))), "lost"}, 0.001, 10))
	b.WithPanel(figure("First certificate expires in", "Time until the first certificate in use expires.", seconds,
		query{"min(" + of("hopscope_tls_certificate_expiry_timestamp_seconds") + " - time())", "left"}).
		Thresholds(daysLeft()).NoValue("no certificate"))
	b.WithPanel(figure("Panics", "Panics of proxies in the time that is shown: each cost a request or a connection, and is a defect to report.", count,
		query{orZero(sum("", total(of("hopscope_panics_total")))), "panics"}, 1).Decimals(0))

	b.WithPanel(lines("CPU", "Cores in use by each process.", count,
		query{top(10, sum("instance", rate(proxies("process_cpu_seconds_total")))), "{{instance}}"}).Decimals(2))
	b.WithPanel(lines("Memory", "Resident memory of each process.", bytes_,
		query{top(10, sum("instance", proxies("process_resident_memory_bytes"))), "{{instance}}"}))
	b.WithPanel(lines("Descriptors, in use", "What part of the descriptors that a process may open is open.", ratio,
		query{top(10, largest("instance", proxies("process_open_fds")+" / "+proxies("process_max_fds"))), "{{instance}}"}))
	b.WithPanel(lines("Connections of clients", "Open connections from clients.", count,
		query{top(10, sum("instance, service", of("hopscope_downstream_connections_active"))), "{{service}} ({{instance}})"}))
	b.WithPanel(stacked(lines("Connections to endpoints", "Open connections to endpoints, by state: the idle ones are the pools.", count,
		query{sum("state", of("hopscope_upstream_connections")), "{{state}}"})))
	b.WithPanel(failing("What telemetry lost", "Hops, or what was made of them, that a view lost, by reason. Requests do not wait for a view: they lose it.", events,
		query{top(10, sum("view, reason", rate(of("hopscope_telemetry_dropped_total")))), "{{view}}: {{reason}}"}).NoValue("Nothing was lost"))

	b.WithPanel(sheet("What they run", "Version and configuration of each proxy: proxies of one service should agree.",
		[]column{
			{field: "service", title: "Service", links: here("service/${__data.fields.service:percentencode}")},
			{field: "instance", title: "Instance"},
			{field: "version", title: "Version"},
			{field: "revision", title: "Revision"},
			{field: "goversion", title: "Go"},
			{field: "hash", title: "Configuration"},
			{field: "Value #A", title: "Loaded", unit: "dateTimeFromNow", width: 170},
			{field: "Value #B", title: "Ready", width: 100, texts: colours(map[string][2]string{"1": {"yes", "green"}, "0": {"no", "red"}})},
		},
		sum("service, instance, version, revision, goversion, hash",
			"1000 * "+of("hopscope_config_last_reload_success_timestamp_seconds")+
				" * on (job, instance, service) group_left (version, revision, goversion) "+of("hopscope_build_info")+
				" * on (job, instance, service) group_left (hash) "+of("hopscope_config_info")),
		"min by (service, instance) ("+of("hopscope_ready")+")").Height(9))

	b.WithRow(row("What does Go's runtime say?",
		lines("Goroutines", "Goroutines of each process. If they only ever grow, something leaks.", count,
			query{top(10, sum("instance", proxies("go_goroutines"))), "{{instance}}"}),
		lines("Heap", "Memory in use by objects, and what the garbage collector next aims at.", bytes_,
			query{top(5, sum("instance", proxies("go_memstats_heap_inuse_bytes"))), "{{instance}} in use"},
			query{top(5, sum("instance", proxies("go_memstats_next_gc_bytes"))), "{{instance}} next collection"}),
		lines("Garbage collection", "What part of the time all of the process stands still for the garbage collector.", ratio,
			query{top(10, sum("instance", rate(proxies("go_gc_duration_seconds_sum")))), "{{instance}}"})))
	b.WithRow(row("Does anything run short?",
		lines("Memory that clients make it hold", "What part of the limit is in use. Beyond it, the proxy refuses.", ratio,
			query{top(10, largest("service, instance", of("hopscope_overload_memory_bytes")+" / ("+of("hopscope_overload_memory_limit_bytes")+" > 0)")), "{{service}} ({{instance}})"}),
		failing("Refused or closed", "What was refused for want of memory, descriptors or ports, and idle connections that were closed to make room.", events,
			query{top(5, sum("service, what", rate(of("hopscope_overload_refused_total")))), "{{service}}: {{what}}"},
			query{top(5, sum("service, of", rate(of("hopscope_shortages_total")))), "{{service}}: {{of}}"},
			query{top(5, sum("service", rate(of("hopscope_downstream_connections_dismissed_total")))), "{{service}}: idle connections closed"}).NoValue("Nothing was refused"),
		lines("Store of recent hops", "What part of its memory the store of recent hops uses. When it is full, the oldest go.", ratio,
			query{top(10, largest("service", of("hopscope_store_bytes")+" / ("+of("hopscope_store_limit_bytes")+" > 0)")), "{{service}}"}),
		failing("Failed connections of clients", "Connections that ended before a request could be understood, by reason.", events,
			query{top(10, sum("service, reason", rate(of("hopscope_connection_failures_total")))), "{{service}}: {{reason}}"}).Span(12),
		failing("Refused by the admin API", "Requests to the admin API that were refused, by reason.", events,
			query{top(10, sum("service, reason", rate(of("hopscope_admin_refused_total")))), "{{service}}: {{reason}}"}).Span(12)))
	return b
}
