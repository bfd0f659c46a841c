package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// tag is on every dashboard: the links between them are made by it.
const tag = "hopscope"

// board is a dashboard of the schema that every Grafana from 11 on reads from a file.
//
//lint:ignore SA1019 The new one, dashboardv2, wants Grafana 12 and its API.
type board = dashboard.DashboardBuilder

// page starts a dashboard. Its name is also its uid, with "hopscope-" before it, which the
// links of other dashboards use.
func page(name, title, description string, variables ...*dashboard.QueryVariableBuilder) *board {
	//lint:ignore SA1019 see board
	b := dashboard.NewDashboardBuilder(title).
		Uid("hopscope-"+name).
		Description(description).
		Tags([]string{tag}).
		Time("now-30m", "now").
		Refresh("30s").
		Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Readonly().
		Link(dashboard.NewDashboardLinkBuilder("hopscope").
			Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{tag}).IncludeVars(true).KeepTime(true)).
		Link(dashboard.NewDashboardLinkBuilder("Console").
			Type(dashboard.DashboardLinkTypeLink).Icon("external link").Url("${console:raw}/console/").
			Tooltip("The console of hopscope: traces, events and verdicts, hop by hop").TargetBlank(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(choice("job", "Job", `label_values(hopscope_build_info, job)`, ".+")).
		WithVariable(choice("instance", "Instance", `label_values(hopscope_build_info{job=~"$job"}, instance)`, ".+"))
	for _, v := range variables {
		b.WithVariable(v)
	}
	b.WithVariable(dashboard.NewTextBoxVariableBuilder("console").Label("Console").
		Description("Where hopscope's console is: the admin address of any proxy of the mesh.").
		DefaultValue(dashboard.StringOrMap{String: cog.ToPtr("http://127.0.0.1:9901")}))
	for _, a := range changes() {
		b.Annotation(a)
	}
	return b
}

// choice is a variable with any number of values, "All" by default.
func choice(name, label, query, all string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source()).
		Query(dashboard.StringOrMap{String: &query}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).
		IncludeAll(true).
		AllValue(all).
		Current(dashboard.VariableOption{
			Selected: cog.ToPtr(true),
			Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

func services(label string) *dashboard.QueryVariableBuilder {
	return choice("service", label, `label_values(hopscope_build_info{job=~"$job", instance=~"$instance"}, service)`, ".+")
}

// clusters and routes may be empty: some requests have none, and gRPC's durations know no route.
func clusters(label string) *dashboard.QueryVariableBuilder {
	return choice("cluster", label,
		`label_values(hopscope_upstream_requests_active{job=~"$job", instance=~"$instance", service=~"$service"}, cluster)`, ".*")
}

func routes() *dashboard.QueryVariableBuilder {
	return choice("route", "Route",
		`label_values(hopscope_requests_total{job=~"$job", instance=~"$instance", service=~"$service"}, route)`, ".*")
}

// source is the Prometheus that was chosen.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

// changes are marked on every dashboard: what changed just before it broke?
func changes() []*dashboard.AnnotationQueryBuilder {
	reload := mark("Configuration loaded", "blue", "{{service}} loaded a configuration", "",
		largest("service", proxies("hopscope_config_last_reload_success_timestamp_seconds"))+" * 1000").UseValueForTime(true)
	return []*dashboard.AnnotationQueryBuilder{
		reload,
		mark("Reload failed", "red", "{{service}} runs an old configuration", "The last reload failed: its log says why.",
			sum("service", proxies("hopscope_config_last_reload_successful"))+" < "+
				"count by (service) ("+proxies("hopscope_config_last_reload_successful")+")"),
		mark("Endpoints changed", "purple", "{{cluster}}: endpoints {{change}}", "as seen by {{service}}",
			sum("service, cluster, change", "increase("+proxies("hopscope_discovery_endpoint_changes_total")+"[$__rate_interval])")+" > 0"),
	}
}

func mark(name, colour, title, text, expr string) *dashboard.AnnotationQueryBuilder {
	return dashboard.NewAnnotationQueryBuilder().
		Name(name).
		Datasource(source()).
		Enable(true).
		IconColor(colour).
		TitleFormat(title).
		TextFormat(text).
		TagKeys("service").
		Target(prometheus.NewDataqueryBuilder().RefId("Anno").Datasource(source()).Expr(expr).Range())
}
