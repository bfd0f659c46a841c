package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

const day = 24 * 60 * 60

// tls is about certificates and who trusts whom: those of files, and of Consul Connect.
func tls() *board {
	expiry := of("hopscope_tls_certificate_expiry_timestamp_seconds")
	certificates := of("hopscope_failures_total", `part="certificate"`)
	forbidden := of("hopscope_failures_total", inbound, `kind="forbidden"`)
	b := page("tls", "Consul Connect and TLS: does everybody trust everybody who should be trusted?",
		"Certificates and how long they last, handshakes that fail, connections that ended since trust did, and requests that intentions or rules refuse.",
		services("Service"))

	b.WithPanel(figure("First certificate expires in", "Time until the first certificate in use expires.", seconds,
		query{"min(" + expiry + " - time())", "left"}).Thresholds(daysLeft()).NoValue("no certificate").Span(6))
	b.WithPanel(figure("Reloads that failed", "Changed certificates that could not be read in the time that is shown: the old ones are in use.", count,
		query{orZero(sum("", total(of("hopscope_tls_reloads_total", `result="failure"`)))), "failed"}, 1).Decimals(0).Span(6))
	b.WithPanel(figure("Handshakes of clients that fail", "TLS handshakes with clients that failed, a second.", events,
		query{orZero(sum("", rate(of("hopscope_connection_failures_total", `reason=~"downstream_tls.*"`)))), "failed"}, 0.001, 1).Span(6))
	b.WithPanel(figure("Requests that fail for a certificate", "Requests that failed since a certificate was not accepted, a second.", perSecond,
		query{orZero(sum("", rate(certificates))), "failed"}, 0.001, 1).Span(6))

	b.WithPanel(sheet("Certificates", "Each certificate in use and when it expires. Those of Consul Connect last three days and are renewed by themselves.",
		[]column{
			{field: "service", title: "Service", links: here("service/${__data.fields.service:percentencode}")},
			{field: "kind", title: "Used by"},
			{field: "name", title: "Name"},
			{field: "Value #A", title: "Time left", unit: seconds, width: 160},
			{field: "Value #B", title: "Expires", unit: "dateTimeAsIso", width: 220},
		},
		"min by (service, kind, name) ("+expiry+" - time())",
		"min by (service, kind, name) ("+expiry+") * 1000").NoValue("No certificate is in use"))

	b.WithPanel(lines("Time left", "The certificates that expire first. A line that falls to the floor is not renewed.", seconds,
		query{"bottomk(10, min by (service, kind, name) (" + expiry + " - time()))", "{{service}}: {{kind}} {{name}}"}).NoValue("No certificate is in use"))
	b.WithPanel(failing("Handshakes of clients that fail", "TLS handshakes with clients that failed, by reason.", events,
		query{top(10, sum("service, reason", rate(of("hopscope_connection_failures_total", `reason=~"downstream_tls.*"`)))), "{{service}}: {{reason}}"}))
	b.WithPanel(failing("Requests that fail for a certificate", "Whose certificate it is, and what is wrong with it.", perSecond,
		query{top(10, sum("failed_hop, kind", rate(certificates))), "{{failed_hop}}: {{kind}}"}))

	b.WithPanel(failing("Refused: not allowed", "Requests that Consul's intentions, or other rules of a route, do not allow.", perSecond,
		query{top(10, sum("service", rate(forbidden))), "{{service}}"}))
	b.WithPanel(failing("Connections ended since trust did", "Connections whose client's certificate is not trusted any more, as after Consul changed its root.", events,
		query{top(10, sum("service", rate(of("hopscope_downstream_connections_distrusted_total")))), "{{service}}"}).NoValue("None"))
	b.WithPanel(lines("Renewals", "Times that changed certificates were read, by result.", events,
		query{top(10, sum("service, kind, result", rate(of("hopscope_tls_reloads_total")))), "{{service}}: {{kind}}, {{result}}"}).NoValue("No certificate changed"))
	return b
}

// daysLeft colours the time that a certificate has: red on its last day, for those of
// Consul Connect last three, yellow in its last week.
func daysLeft() *dashboard.ThresholdsConfigBuilder {
	last, week := float64(day), float64(7*day)
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps([]dashboard.Threshold{
		{Color: "red"}, {Value: &last, Color: "yellow"}, {Value: &week, Color: "green"},
	})
}
