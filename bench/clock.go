package main

import (
	"os"
	"syscall"
	"time"
)

// clock reads how the machine's CPU time was spent since some moment: a figure
// measured beside other work is worth less, so the report says how much there was.
type clock struct {
	machine machineTime
	own     time.Duration // of the benchmark's processes
}

// readClock reads the counters. The rig's sink and backend must be running, and
// no proxy: those that have ended count as this process's children.
func (r *rig) readClock() (clock, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return clock{}, err
	}
	var c clock
	if c.machine, err = parseMachineTime(string(stat)); err != nil {
		return clock{}, err
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			return clock{}, err
		}
		c.own += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	for _, group := range []int{r.backend.pid(), r.sink.cmd.Process.Pid} {
		used, err := groupCPU(group)
		if err != nil {
			return clock{}, err
		}
		c.own += used.total
	}
	return c, nil
}

// shares returns which part of all CPU time between two readings went to
// processes outside the benchmark, and which the hypervisor took, in per cent.
func (c clock) shares(later clock) (others, stolen float64) {
	total := later.machine.total - c.machine.total
	if total <= 0 {
		return 0, 0
	}
	percent := func(d time.Duration) float64 { return 100 * float64(max(0, d)) / float64(total) }
	return percent(later.machine.busy - c.machine.busy - (later.own - c.own)),
		percent(later.machine.stolen - c.machine.stolen)
}
