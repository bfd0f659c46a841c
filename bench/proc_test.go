package main

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const statLine = "4242 (%s) S 4241 4240 2645 0 -1 4194304 99 0 0 0 123 456 7 8 20 0 1 0 70026 3133440 388\n"

func TestParseStat(t *testing.T) {
	want := procStat{group: 4240, cpu: cpuTime{user: 1230 * time.Millisecond, system: 4560 * time.Millisecond}}
	for _, name := range []string{"haproxy", "nginx: worker", "a) R 1 2 3", "((", ""} {
		line := strings.Replace(statLine, "%s", name, 1)
		if got, err := parseStat(line); err != nil || got != want {
			t.Errorf("parseStat(%q) = %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestParseStatRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"no command":         "4242 haproxy S 1 2 3",
		"too few fields":     "4242 (haproxy) S 1 2 3 4 5 6 7 8 9 10 11",
		"group is no number": strings.Replace(statLine, " 4240 ", " x ", 1),
		"utime is negative":  strings.Replace(statLine, " 123 ", " -123 ", 1),
		"stime overflows":    strings.Replace(statLine, " 456 ", " 45600000000000000000 ", 1),
		"empty":              "",
	} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%s: parseStat = %+v, want an error", name, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statLine)
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseStat(line)
		if err == nil && (s.cpu.user < 0 || s.cpu.system < 0) {
			t.Errorf("negative time: %+v", s)
		}
	})
}

func TestOwnGroup(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	group := syscall.Getpgrp()
	members, err := groupMembers(group)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := members["/proc/"+strconv.Itoa(os.Getpid())]; !ok {
		t.Errorf("group %d has %v, want this process in it", group, members)
	}
	// A process that has ended, and that nobody has waited for yet, is still listed.
	ended := exec.Command("true")
	out, err := ended.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ended.Start(); err != nil {
		t.Fatal(err)
	}
	defer ended.Wait()
	if _, err := io.ReadAll(out); err != nil { // returns as the process ends
		t.Fatal(err)
	}
	rss, err := groupRSS(group)
	if err != nil || rss < 1<<20 {
		t.Errorf("groupRSS = %d, %v; a Go test takes more than 1 MiB", rss, err)
	}
	if _, err := groupCPU(1 << 30); err == nil {
		t.Error("a group without processes gave a CPU time")
	}
}

func TestParseRSS(t *testing.T) {
	if got, err := parseRSS("Name:\tnginx\nVmHWM:\t 9 kB\nVmRSS:\t    6644 kB\nThreads:\t1\n"); err != nil || got != 6644*1024 {
		t.Errorf("parseRSS = %d, %v; want %d", got, err, 6644*1024)
	}
	for _, status := range []string{"", "VmHWM:\t 9 kB\n", "VmRSS:\t many kB\n"} {
		if got, err := parseRSS(status); err == nil {
			t.Errorf("parseRSS(%q) = %d, want an error", status, got)
		}
	}
}

func TestParseCPUList(t *testing.T) {
	for list, want := range map[string][]int{
		"0": {0}, "0-1\n": {0, 1}, "2,4-6": {2, 4, 5, 6},
	} {
		if got, err := parseCPUList(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("parseCPUList(%q) = %v, %v; want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"", "a", "1-", "-1", "0,,1"} {
		if got, err := parseCPUList(list); err == nil {
			t.Errorf("parseCPUList(%q) = %v, want an error", list, got)
		}
	}
}

func FuzzParseCPUList(f *testing.F) {
	f.Add("0-3,7")
	f.Fuzz(func(t *testing.T, list string) {
		cores, err := parseCPUList(list)
		for _, n := range cores {
			if err == nil && n < 0 {
				t.Errorf("core %d", n)
			}
		}
	})
}

func TestParseMachineTime(t *testing.T) {
	got, err := parseMachineTime("cpu  1000 200 300 8000 400 10 20 30 5 6\ncpu0 1 2 3\n")
	want := machineTime{total: 99600 * time.Millisecond, busy: 15 * time.Second, stolen: 300 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("parseMachineTime = %+v, %v; want %+v", got, err, want)
	}
	for _, stat := range []string{"", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8 9\n", "cpu 1 2 3 4 5 6 7 x\n"} {
		if got, err := parseMachineTime(stat); err == nil {
			t.Errorf("parseMachineTime(%q) = %+v, want an error", stat, got)
		}
	}
}

func TestClockShares(t *testing.T) {
	began := clock{machine: machineTime{total: 100 * time.Second, busy: 20 * time.Second}, own: 10 * time.Second}
	ended := clock{machine: machineTime{total: 300 * time.Second, busy: 140 * time.Second, stolen: 4 * time.Second}, own: 110 * time.Second}
	if others, stolen := began.shares(ended); others != 10 || stolen != 2 {
		t.Errorf("shares = %g, %g; want 10, 2", others, stolen)
	}
	if others, stolen := began.shares(began); others != 0 || stolen != 0 {
		t.Errorf("shares of no time = %g, %g", others, stolen)
	}
}

// The exact time has what the ticks have, to within one of each kind for a process.
func TestCPUTimeIsExact(t *testing.T) {
	p, err := start("busy", t.TempDir(), unpinned, []string{"sh", "-c", "while :; do :; done"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	await(t, "it has used some time", func() bool {
		used, err := groupCPU(p.pid())
		return err == nil && used.user+used.system >= 5*tick
	})
	before, err := processCPU(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := groupCPU(p.pid())
	if err != nil {
		t.Fatal(err)
	}
	if booked := ticks.user + ticks.system; booked < before-3*tick || booked > ticks.total+3*tick || before > ticks.total {
		t.Errorf("ticks have %v, the clock %v before and %v after", booked, before, ticks.total)
	}
}
