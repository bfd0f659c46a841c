package convert

import (
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// retryOf converts the retry and hedge policies of the innermost level that has them.
func (e *envoy) retryOf(r *config.Route, levels []*node) {
	if p := innermost(levels, "retry_policy"); p != nil {
		r.Retry = e.retryPolicy(p, r.Targets(), r.Priority)
	}
	if p := innermost(levels, "hedge_policy"); p != nil {
		e.hedge(r, p)
	}
}

// innermost is the value of a key at the innermost level that has it. It takes the place of
// the others.
func innermost(levels []*node, key string) (n *node) {
	for _, level := range levels {
		if found := level.get(key); n == nil {
			n = found
		} else {
			found.readAll()
		}
	}
	return n
}

// hedge converts a HedgePolicy: an attempt that has not answered in time goes on, and
// another one begins.
func (e *envoy) hedge(r *config.Route, n *node) {
	if !n.truth("hedge_on_per_try_timeout") || r.Retry == nil || r.Retry.PerTryTimeout == 0 {
		return // it does nothing
	}
	const most = 10
	r.Hedge = config.NewHedge(r.Retry.PerTryTimeout)
	r.Hedge.Attempts = min(r.Retry.Attempts, most)
	retry := *r.Retry
	r.Retry, retry.PerTryTimeout = &retry, 0
	e.differs(n.line, n.path, "hedges and retries are counted apart: see hedge and retry of the route")
}

// retryPolicy converts a RetryPolicy; nil if it retries nothing.
func (e *envoy) retryPolicy(n *node, clusters []string, priority string) *config.Retry {
	n.skip("host_selection_retry_max_attempts")
	for _, p := range n.list("retry_host_predicate") {
		p.read = typeOf(p) == "PreviousHostsPredicate" || strings.HasSuffix(p.str("name"), "previous_hosts")
		if p.read {
			p.readAll()
		}
	}
	r := config.NewRetry()
	for _, word := range strings.FieldsFunc(n.str("retry_on"), func(c rune) bool { return c == ',' || c == ' ' }) {
		switch word {
		case "5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx", "retriable-status-codes", "retriable-headers",
			"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable":
			r.On = append(r.On, word)
		default:
			at := n.find("retry_on")
			e.left(at.line, at.path, "%q is not among hopscope's conditions", word)
		}
	}
	r.Attempts = n.integer(1, "num_retries") + 1
	r.PerTryTimeout = n.duration(0, "per_try_timeout")
	for _, code := range n.strs("retriable_status_codes") {
		r.Statuses = append(r.Statuses, number(code))
	}
	for _, h := range n.list("retriable_headers") {
		h.skip("present_match")
		r.Headers = append(r.Headers, h.str("name"))
	}
	if b := n.get("retry_back_off"); b != nil {
		r.Backoff.Base = b.duration(r.Backoff.Base, "base_interval")
		r.Backoff.Max = b.duration(10*r.Backoff.Base, "max_interval")
	}
	if len(clusters) == 0 {
		return nil
	}
	if b := e.clusters[clusters[0]].thresholds(priority).find("retry_budget"); b != nil {
		r.Budget = config.NewRetryBudget()
		if b.has("budget_percent") {
			r.Budget.Percent = percent(b.get("budget_percent"))
		}
		r.Budget.Min = b.integer(3, "min_retry_concurrency")
	}
	withList := func(word string, given bool) { // Envoy takes either without the other
		if i := slices.Index(r.On, word); i >= 0 && !given {
			r.On = slices.Delete(r.On, i, i+1)
		}
	}
	withList("retriable-status-codes", len(r.Statuses) > 0)
	withList("retriable-headers", len(r.Headers) > 0)
	if !slices.Contains(r.On, "retriable-status-codes") {
		r.Statuses = nil
	}
	if !slices.Contains(r.On, "retriable-headers") {
		r.Headers = nil
	}
	if len(r.On) == 0 || r.Attempts == 1 {
		return nil
	}
	return r
}
