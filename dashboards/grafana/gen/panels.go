package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Units.
const (
	perSecond = "reqps"
	events    = "ops"
	ratio     = "percentunit"
	seconds   = "s"
	bytes_    = "bytes"
	count     = "short"
)

// link is a data link: what a click on a value offers.
type link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank,omitempty"`
}

// query is one query of a panel, and what its series are called.
type query struct{ expr, legend string }

// lines is a panel of series over time.
func lines(title, description, unit string, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Unit(unit).
		Min(0).
		LineWidth(1.5).
		FillOpacity(8).
		ShowPoints(common.VisibilityModeNever).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode("palette-classic-by-name")).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).ShowLegend(true).
			Calcs([]string{"lastNotNull", "max"}).SortBy("Max").SortDesc(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Span(8).Height(8)
	for i, q := range queries {
		p.WithTarget(target(i, q.expr).LegendFormat(q.legend).Range().Exemplar(true))
	}
	return p
}

// failing is a panel of failures over time: always red, as bars that add up.
func failing(title, description, unit string, queries ...query) *timeseries.PanelBuilder {
	return lines(title, description, unit, queries...).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode("shades").FixedColor("red")).
		NoValue("No failures")
}

// stacked draws series on top of each other.
func stacked(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// latency is a panel of the quantiles of durations, with exemplars: each is a trace.
func latency(title, description, buckets string) *timeseries.PanelBuilder {
	return lines(title, description, seconds,
		query{quantile(0.5, "", buckets), "p50"}, query{quantile(0.9, "", buckets), "p90"}, query{quantile(0.99, "", buckets), "p99"}).
		FillOpacity(0).
		OverrideByName("p50", colour("light-blue")).
		OverrideByName("p90", colour("blue")).
		OverrideByName("p99", colour("purple"))
}

func text(name string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{{Id: "displayName", Value: name}}
}

func colour(name string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{{Id: "color", Value: map[string]any{"mode": "fixed", "fixedColor": name}}}
}

// spread is a heat map of durations, with exemplars.
func spread(title, description, buckets string) *heatmap.PanelBuilder {
	return heatmap.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Calculate(false).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(seconds)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Purples").Steps(64).Reverse(false)).
		ExemplarsColor("rgba(255,120,0,0.8)").
		Unit(seconds).
		Span(24).Height(9).
		WithTarget(target(0, sum("le", "increase("+buckets+"[$__rate_interval])")).
			LegendFormat("{{le}}").Format(prometheus.PromQueryFormatHeatmap).Range().Exemplar(true))
}

// figure is a panel of one number. The steps are the values from which it is yellow and red.
func figure(title, description, unit string, q query, steps ...float64) *stat.PanelBuilder {
	p := stat.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Unit(unit).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		ColorMode(common.BigValueColorModeValue).
		GraphMode(common.BigValueGraphModeArea).
		TextMode(common.BigValueTextModeValue).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		NoValue("0").
		Thresholds(from(steps...)).
		Span(4).Height(4).
		WithTarget(target(0, q.expr).LegendFormat(q.legend).Range())
	return p
}

// from gives thresholds: green, from the first step yellow, from the second red. With one
// step there is no yellow, and with none no colour.
func from(steps ...float64) *dashboard.ThresholdsConfigBuilder {
	all := []dashboard.Threshold{{Color: "green"}}
	switch len(steps) {
	case 0:
		all[0].Color = "text"
	case 1:
		all = append(all, dashboard.Threshold{Value: &steps[0], Color: "red"})
	default:
		all = append(all, dashboard.Threshold{Value: &steps[0], Color: "yellow"}, dashboard.Threshold{Value: &steps[1], Color: "red"})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(all)
}

// column is a column of a table, a label or the value of a query ("Value #A").
type column struct {
	field, title string
	unit         string
	width        int
	texts        []dashboard.ValueMapping
	steps        []float64 // colours the text
	gauge        bool      // draws a bar from 0 to 1
	links        []link
}

// sheet is a table of the values of queries at the end of the time that is shown, a row for
// each set of labels. Columns that are not named are hidden; the first query sorts.
func sheet(title, description string, columns []column, exprs ...string) *table.PanelBuilder {
	p := table.NewPanelBuilder().
		Title(title).
		Description(description).
		Datasource(source()).
		Unit(count).
		ShowHeader(true).
		CellHeight(common.TableCellHeightSm).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"})).
		Span(24).Height(8)
	for i, e := range exprs {
		p.WithTarget(target(i, e).Format(prometheus.PromQueryFormatTable).Instant())
	}
	order, shown := map[string]any{}, []string{}
	for i, c := range columns {
		order[c.field] = i
		shown = append(shown, c.field)
		p.OverrideByName(c.field, c.properties())
	}
	if len(exprs) > 1 {
		p.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	}
	return p.
		WithTransformation(dashboard.DataTransformerConfig{Id: "filterFieldsByName",
			Options: map[string]any{"include": map[string]any{"names": shown}}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize",
			Options: map[string]any{"indexByName": order}})
}

func (c column) properties() (all []dashboard.DynamicConfigValue) {
	set := func(id string, value any) { all = append(all, dashboard.DynamicConfigValue{Id: id, Value: value}) }
	set("displayName", c.title)
	if c.unit != "" {
		set("unit", c.unit)
	}
	if c.width > 0 {
		set("custom.width", c.width)
	}
	if c.texts != nil {
		set("mappings", c.texts)
	}
	if c.links != nil {
		set("links", c.links)
	}
	if c.steps != nil {
		t, _ := from(c.steps...).Build() // the steps of from are always valid
		set("thresholds", t)
		set("custom.cellOptions", map[string]any{"type": "color-text"})
	}
	if c.gauge {
		set("min", 0)
		set("max", 1)
		set("color", map[string]any{"mode": "fixed", "fixedColor": "red"})
		set("custom.cellOptions", map[string]any{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"})
	}
	return all
}

// sorted sorts a table by the column of that title, the largest first.
func sorted(p *table.PanelBuilder, title string) *table.PanelBuilder {
	return p.SortBy([]cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName(title).Desc(true)})
}

func target(i int, expr string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Datasource(source()).Expr(expr).
		EditorMode(prometheus.QueryEditorModeCode)
}

// toConsole is a link to a page of the console, such as "service/%s". Fields name what
// fills it: a label of the series or a column of the table.
func toConsole(title, path string, values ...any) link {
	return link{Title: title, TargetBlank: true,
		URL: "${console:raw}/console/#/" + fmt.Sprintf(path, values...)}
}

// toBoard is a link to another dashboard, which keeps time, data source, job, instance and
// console, and sets variables: "var-service=${__data.fields.service}".
func toBoard(title, name string, set ...string) link {
	keep := []string{"${__url_time_range}", "${datasource:queryparam}", "${job:queryparam}", "${instance:queryparam}", "${console:queryparam}"}
	return link{Title: title, URL: "/d/hopscope-" + name + "?" + strings.Join(append(keep, set...), "&")}
}

// row is a folded row: detail for who wants to know more.
func row(title string, panels ...cog.Builder[dashboard.Panel]) *dashboard.RowBuilder {
	r := dashboard.NewRowBuilder(title).Collapsed(true)
	for _, p := range panels {
		r.WithPanel(p)
	}
	return r
}

// links are the links of a series' value, which a click on it shows.
func links(all ...link) []cog.Builder[dashboard.DashboardLink] {
	var builders []cog.Builder[dashboard.DashboardLink]
	for _, l := range all {
		builders = append(builders, dashboard.NewDashboardLinkBuilder(l.Title).Type(dashboard.DashboardLinkTypeLink).Url(l.URL).TargetBlank(l.TargetBlank))
	}
	return builders
}
