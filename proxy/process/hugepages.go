package process

import "github.com/hopscope/hopscope/proxy/config"

// useHugePages moves the program's code to huge pages if the configuration asks for it. What
// keeps it from that is no fault: the kernel may have none, or forbid to make memory
// executable.
func (p *process) useHugePages(c *config.Config) {
	if !c.HugePages {
		return
	}
	moved, err := codeToHugePages()
	if err != nil {
		p.log.Info("the program's code stays in small pages", "because", err)
		return
	}
	p.log.Debug("the program's code is in huge pages", "bytes", moved)
}
