package convert

import "github.com/hopscope/hopscope/proxy/config"

// haOutlier converts servers whose traffic is watched, and that are down when too many
// requests in a row have failed.
func (h *haproxy) haOutlier(c *config.Cluster, servers []server) {
	for _, v := range servers {
		if !v.has("observe") {
			continue
		}
		if v.options["on-error"] != "mark-down" {
			h.left(v.n, v.text, "observe: without on-error mark-down errors only hasten its checks; see outlier")
			continue
		}
		if c.Outlier != nil {
			continue // that of the first
		}
		limit := 10
		if n := number(v.options["error-limit"]); n > 0 {
			limit = n
		}
		o := config.NewOutlier()
		o.SuccessRate.Enabled, o.MaxEjectedPercent = false, 100
		if o.Consecutive5xx = limit; v.options["observe"] == "layer4" {
			o.Consecutive5xx, o.SplitLocalOrigin, o.ConsecutiveLocalOrigin = 0, true, limit
		}
		c.Outlier = o
		h.differs(v.n, v.text, "observe: every endpoint is watched so, and one that is down comes back after %v, or when a check passes", o.BaseEjection)
	}
}
