package backends

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// processGroup makes a server the leader of a process group, to be killed as a whole,
// and has the kernel kill it should the test's process die before its clean-up.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// listens tells by an error whether the process itself has a listening socket on the
// port of each address: somebody who was faster may answer there just as well.
func listens(pid int, addresses []string) error {
	own, err := sockets(pid)
	if err != nil {
		return err
	}
	ports := make(map[string]bool) // in hexadecimal, as /proc has them
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // a kernel without IPv6 has no tcp6
		}
		rows := bufio.NewScanner(f)
		for rows.Scan() {
			// sl local_address rem_address st queues timer retransmits uid timeout inode
			row := strings.Fields(rows.Text())
			const listening = "0A"
			if len(row) > 9 && row[3] == listening && own[row[9]] {
				_, port, _ := strings.Cut(row[1], ":")
				ports[port] = true
			}
		}
		f.Close()
	}
	for _, address := range addresses {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !ports[fmt.Sprintf("%04X", a.Port())] {
			return fmt.Errorf("it does not listen on %s", address)
		}
	}
	return nil
}

// sockets returns the inodes of a process's sockets.
func sockets(pid int) (map[string]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	inodes := make(map[string]bool)
	for _, entry := range entries {
		link, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}
