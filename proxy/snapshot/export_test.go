package snapshot

import (
	"time"

	"github.com/hopscope/hopscope/proxy/overload"
)

// Live is how many generations have not drained.
func (p *Proxy) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// Budget is the budget for what clients make the proxy hold.
func (p *Proxy) Budget() *overload.Budget { return p.shared.Memory }

// Sample keeps what was counted until now, as the proxy does at the end of each window.
func (p *Proxy) Sample(now time.Time) { p.history.Add(now, p.counted()) }
