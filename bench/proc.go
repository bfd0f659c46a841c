package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc: USER_HZ is 100 on every architecture
// that Go runs Linux on.
const tick = 10 * time.Millisecond

// cpuTime is what a set of processes has used since they started.
type cpuTime struct {
	total time.Duration // exact
	// user and system are its parts, in ticks.
	user, system time.Duration
}

func (c cpuTime) sub(d cpuTime) cpuTime {
	return cpuTime{c.total - d.total, c.user - d.user, c.system - d.system}
}

// procStat is what we need of /proc/PID/stat, proc(5).
type procStat struct {
	group int
	cpu   cpuTime // of all its threads
}

// parseStat reads the line of /proc/PID/stat. The command name, field 2, stands
// in parentheses and may hold anything, also parentheses.
func parseStat(line string) (procStat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("stat: no command name in %q", line)
	}
	fields := strings.Fields(line[end+1:]) // from field 3, state
	const group, utime, stime = 5 - 3, 14 - 3, 15 - 3
	if len(fields) <= stime {
		return procStat{}, fmt.Errorf("stat: %d fields after the command name in %q", len(fields), line)
	}
	var s procStat
	var err error
	if s.group, err = strconv.Atoi(fields[group]); err != nil {
		return procStat{}, fmt.Errorf("stat: process group: %w", err)
	}
	if s.cpu.user, err = parseTicks(fields[utime]); err != nil {
		return procStat{}, fmt.Errorf("stat: utime: %w", err)
	}
	if s.cpu.system, err = parseTicks(fields[stime]); err != nil {
		return procStat{}, fmt.Errorf("stat: stime: %w", err)
	}
	return s, nil
}

func parseTicks(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return time.Duration(n) * tick, err
}

// groupMembers returns /proc/PID of every process in a process group.
func groupMembers(group int) (map[string]procStat, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	members := map[string]procStat{}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it ended since the list was read
		}
		s, err := parseStat(string(line))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if s.group == group {
			members[filepath.Dir(path)] = s
		}
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("no process is left in group %d", group)
	}
	return members, nil
}

// groupCPU is the CPU time of all processes in a group: a master and its
// workers are one proxy.
func groupCPU(group int) (cpuTime, error) {
	members, err := groupMembers(group)
	if err != nil {
		return cpuTime{}, err
	}
	var sum cpuTime
	for dir, s := range members {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return cpuTime{}, fmt.Errorf("%s: %w", dir, err)
		}
		total, err := processCPU(pid)
		if errors.Is(err, syscall.EINVAL) {
			continue // it ended since the list was read
		}
		if err != nil {
			return cpuTime{}, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		sum.total += total
		sum.user += s.cpu.user
		sum.system += s.cpu.system
	}
	return sum, nil
}

// processCPU is the CPU time of all threads of a process, also of those that have ended. It
// is exact where /proc counts ticks: beside other work a short load is a few of those.
func processCPU(pid int) (time.Duration, error) {
	// The clock of another process is clock_getcpuclockid(3) in C: the complement of its
	// id, and 2 for the time that the scheduler gave it.
	clock := ^pid<<3 | 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(clock), &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// groupRSS is the resident memory of all processes in a group, in bytes.
func groupRSS(group int) (int64, error) {
	members, err := groupMembers(group)
	if err != nil {
		return 0, err
	}
	var sum int64
	for dir := range members {
		text, err := os.ReadFile(filepath.Join(dir, "status"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended since the list was read
		}
		if err != nil {
			return 0, err
		}
		rss, err := parseRSS(string(text))
		if errors.Is(err, errNoMemory) {
			continue // it is ending
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", dir, err)
		}
		sum += rss
	}
	return sum, nil
}

// errNoMemory says that a process has no memory: it has ended, or is about to.
var errNoMemory = errors.New("status: no VmRSS")

// parseRSS reads VmRSS from /proc/PID/status, in bytes. It returns errNoMemory if there is
// none.
func parseRSS(status string) (int64, error) {
	value, ok := procField(status, "VmRSS")
	if !ok {
		return 0, errNoMemory
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 48)
	if err != nil {
		return 0, fmt.Errorf("status: VmRSS: %w", err)
	}
	return kib * 1024, nil
}

// procField returns the value of the first "name: value" line of a /proc file.
func procField(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// parseCPUList reads a kernel list of cores such as "0-2,4".
func parseCPUList(s string) ([]int, error) {
	var cores []int
	for _, part := range strings.Split(strings.TrimSpace(s), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		low, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("cores %q: %w", s, err)
		}
		high, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("cores %q: %w", s, err)
		}
		for n := low; n <= high; n++ {
			cores = append(cores, int(n))
		}
	}
	return cores, nil
}

// machineTime is what the first line of /proc/stat says of all cores together.
type machineTime struct {
	total  time.Duration // that passed, idle time included
	busy   time.Duration // in processes: user, nice and system
	stolen time.Duration // that the hypervisor gave to others
}

// parseMachineTime reads the first line of /proc/stat, proc(5). Guest times are
// part of user time there.
func parseMachineTime(stat string) (machineTime, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	const user, nice, system, steal = 1, 2, 3, 8
	if len(fields) <= steal || fields[0] != "cpu" {
		return machineTime{}, fmt.Errorf("/proc/stat: first line is %q", line)
	}
	var m machineTime
	for i := user; i <= steal; i++ {
		n, err := strconv.ParseUint(fields[i], 10, 48)
		if err != nil {
			return machineTime{}, fmt.Errorf("/proc/stat: %w", err)
		}
		d := time.Duration(n) * tick
		m.total += d
		switch i {
		case user, nice, system:
			m.busy += d
		case steal:
			m.stolen = d
		}
	}
	return m, nil
}
