package process

import (
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/overload"
)

// enoughMemory is how much memory the proxy may use, in bytes, where copying its code is
// worth it.
const enoughMemory = 256 << 20

// useHugePages moves the program's code to huge pages if the configuration and the memory
// are for it. What keeps it from that is no fault: the kernel may have none, or forbid to
// make memory executable.
func (p *process) useHugePages(c *config.Config) {
	memory := int64(c.Overload.MaxMemoryBytes)
	if memory == 0 {
		memory, _ = overload.Memory()
	}
	if c.HugePages == "never" || c.HugePages == "auto" && memory < enoughMemory {
		return
	}
	moved, err := codeToHugePages()
	if err != nil {
		p.log.Debug("the program's code stays in small pages", "because", err)
		return
	}
	p.log.Debug("the program's code is in huge pages", "bytes", moved)
}
