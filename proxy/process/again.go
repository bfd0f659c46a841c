package process

import (
	"os"
	"os/exec"
	"strings"
)

// startAgain starts the program anew, with --upgrade: it takes over, or it fails and this
// process goes on. The file of the program may be another one by now.
func (p *process) startAgain() {
	if len(p.again) == 0 {
		p.log.Warn("SIGUSR2 has no effect: this process does not know how it was started")
		return
	}
	cmd := exec.Command(p.again[0], p.again[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WATCHDOG_PID=") { // it is for the main process, whichever that is
			cmd.Env = append(cmd.Env, variable)
		}
	}
	if err := cmd.Start(); err != nil {
		p.log.Error("the program could not be started again", "error", err)
		return
	}
	p.log.Info("started the program again, to take over", "because", "SIGUSR2", "pid", cmd.Process.Pid)
	go func() {
		if err := cmd.Wait(); err != nil {
			p.log.Error("the program that was started again has ended", "error", err)
		}
	}()
}
