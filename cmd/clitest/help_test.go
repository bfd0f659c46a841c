package clitest

import (
	"os/exec"
	"strings"
	"testing"
)

func TestHelpForANewcomer(t *testing.T) {
	t.Parallel()
	bare, stderr, code := hopscope(t)
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	for _, want := range []string{
		"\n  hopscope demo\n",
		"\n  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web\n",
		"HTTP_PROXY=http://127.0.0.1:8081",
		"\n  hopscope run -c hopscope.yaml\n",
		"hopscope [command] --help",
	} {
		if !strings.Contains(bare, want) {
			t.Errorf("the help has no %q:\n%s", want, bare)
		}
	}
	if asked, _, code := hopscope(t, "--help"); asked != bare || code != 0 {
		t.Errorf("--help prints something else, exit code %d:\n%s", code, asked)
	}
}

func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "ready", "demo", "check", "trace", "traces", "explain", "config", "config schema", "config reference", "version"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(command)
			stdout, stderr, code := hopscope(t, append(words, "--help")...)
			if code != 0 || stderr != "" || !strings.Contains(stdout, "hopscope "+command) || !strings.Contains(stdout, "Examples:") {
				t.Errorf("exit code %d, standard error %q, help\n%s", code, stderr, stdout)
			}
			if strings.Contains(stdout, "%!") {
				t.Errorf("a format went wrong:\n%s", stdout)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := hopscope(t, "version")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "hopscope "+testVersion+" go") || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit code %d, standard error %q, version %q", code, stderr, stdout)
	}
	if flag, _, code := hopscope(t, "--version"); flag != stdout || code != 0 {
		t.Errorf("--version: exit code %d, %q, want %q", code, flag, stdout)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script, stderr, code := hopscope(t, "completion", shell)
		if code != 0 || stderr != "" || !strings.Contains(script, "hopscope") {
			t.Errorf("%s: exit code %d, standard error %q, script %.100q", shell, code, stderr, script)
		}
		if path, err := exec.LookPath(shell); err == nil && shell == "bash" {
			check := exec.Command(path, "-n", file(t, "completion", script))
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("bash does not take its script: %v\n%s", err, out)
			}
		}
	}
	words, _, _ := hopscope(t, "__complete", "run", "--")
	for _, want := range []string{"--listen", "--to", "--egress", "--otlp", "--tls-cert", "--tls-key", "--to-ca", "--to-insecure"} {
		if !strings.Contains(words, want+"\t") {
			t.Errorf("run -- is not completed to %s:\n%s", want, words)
		}
	}
}

// TestMisuse tries every way to get the command line wrong. The exit code is 1, and the
// message on standard error names what is wrong and where to read on.
func TestMisuse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args string
		want []string // on standard error
	}{
		{"unknown command", "fly", []string{`no command "fly"`, "hopscope --help"}},
		{"nearly a command", "chek", []string{`no command "chek"`, `did you mean "check"?`}},
		{"unknown command of config", "config shema", []string{`no command "shema"`, `did you mean "schema"?`, "hopscope config --help"}},
		{"unknown flag", "--fly", []string{"unknown flag: --fly", "hopscope --help"}},
		{"unknown flag of run", "run --fly", []string{"unknown flag: --fly", "hopscope run --help"}},
		{"flag without value", "run --listen", []string{"--listen", "hopscope run --help"}},
		{"argument for run", "run hopscope.yaml", []string{`"hopscope.yaml"`, "-c", "hopscope run --help"}},
		{"argument for check", "check hopscope.yaml", []string{`"hopscope.yaml"`, "-c", "hopscope check --help"}},
		{"argument for version", "version 2", []string{`"2"`, "hopscope version --help"}},
		{"check without a file", "check", []string{"-c", "hopscope check --help"}},
		{"nothing to run", "run", []string{"--listen", "--to", "-c", "hopscope run --help"}},
		{"listen without to", "run --listen 127.0.0.1:0", []string{"--to"}},
		{"to without listen", "run --to 127.0.0.1:1", []string{"--listen"}},
		{"to that is empty", "run --listen 127.0.0.1:0 --to=", []string{"--to"}},
		{"file and listen", "run -c x.yaml --listen 127.0.0.1:0", []string{"--listen", "-c"}},
		{"file and to", "run -c x.yaml --to 127.0.0.1:1", []string{"--to", "-c"}},
		{"file and egress", "run -c x.yaml --egress 127.0.0.1:0", []string{"--egress", "-c"}},
		{"listen without port", "run --listen 127.0.0.1 --to 127.0.0.1:1", []string{"--listen: ", `"127.0.0.1"`, "port"}},
		{"to without port", "run --listen 127.0.0.1:0 --to localhost", []string{"--to: ", `"localhost"`, "port"}},
		{"to with a path", "run --listen 127.0.0.1:0 --to http://127.0.0.1:1/api", []string{"--to: ", "http://127.0.0.1:1/api has a path", "give http://127.0.0.1:1 without it"}},
		{"to with a path and no scheme", "run --listen 127.0.0.1:0 --to 127.0.0.1:1/api", []string{"--to: ", "127.0.0.1:1/api has a path"}},
		{"https without port", "run --listen 127.0.0.1:0 --to https://localhost/", []string{"--to: ", `"localhost"`, "port"}},
		{"to with a password", "run --listen 127.0.0.1:0 --to https://me:pw@127.0.0.1:1", []string{"--to: ", "password; give host:port"}},
		{"to of another scheme", "run --listen 127.0.0.1:0 --to grpc://127.0.0.1:1", []string{"--to: ", `no scheme "grpc"`, "h2c://host:port"}},
		{"to of two schemes", "run --listen 127.0.0.1:0 --to https://127.0.0.1:1,127.0.0.1:2", []string{"--to: https://127.0.0.1:1 and 127.0.0.1:2 ", "differ in scheme"}},
		{"to-ca without TLS", "run --listen 127.0.0.1:0 --to h2c://127.0.0.1:1 --to-ca ca.pem", []string{"--to-ca", "https://"}},
		{"to-insecure without TLS", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --to-insecure", []string{"--to-insecure", "https://"}},
		{"to-ca and to-insecure", "run --listen 127.0.0.1:0 --to https://127.0.0.1:1 --to-ca ca.pem --to-insecure", []string{"--to-ca", "--to-insecure", "hopscope run --help"}},
		{"to-ca that is not there", "run --listen 127.0.0.1:0 --to https://127.0.0.1:1 --to-ca no.pem", []string{"--to-ca: ", `"no.pem"`, "no such file", "relative"}},
		{"to-ca without to", "run --egress 127.0.0.1:0 --to-ca ca.pem", []string{"--to-ca", "https://"}},
		{"certificate without key", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --tls-cert a.pem", []string{"--tls-key", "hopscope run --help"}},
		{"key without certificate", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --tls-key a.key", []string{"--tls-cert", "hopscope run --help"}},
		{"certificate for nothing", "run --egress 127.0.0.1:0 --tls-cert a.pem --tls-key a.key", []string{"--tls-cert", "--listen", "hopscope run --help"}},
		{"certificate and key that are not there", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --tls-cert no.pem --tls-key no.key",
			[]string{"\n  --tls-cert: ", `"no.pem"`, "\n  --tls-key: ", `"no.key"`, "no such file"}},
		{"file and certificate", "run -c x.yaml --tls-cert a.pem --tls-key a.key", []string{"--tls-cert", "-c"}},
		{"file and authorities", "run -c x.yaml --to-ca a.pem", []string{"--to-ca", "-c"}},
		{"to twice the same", "run --listen 127.0.0.1:0 --to 127.0.0.1:1,127.0.0.1:1", []string{"--to: ", "twice"}},
		{"bad service", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --service é", []string{"--service: "}},
		{"bad egress", "run --egress x", []string{"--egress: ", `"x"`}},
		{"bad admin", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --admin x", []string{"--admin: ", `"off"`}},
		{"bad otlp", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --otlp ftp://127.0.0.1:4317", []string{"--otlp: ", "URL"}},
		{"bad zipkin", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --zipkin 127.0.0.1:9411", []string{"--zipkin: ", "URL"}},
		{"sample above 1", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --sample 1.5", []string{"--sample: ", "from 0 to 1", "1.5"}},
		{"sample below 0", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --sample=-1", []string{"--sample: ", "from 0 to 1"}},
		{"sample that is none", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --sample NaN", []string{"--sample: ", "from 0 to 1"}},
		{"sample that is no number", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --sample all", []string{`"all"`, `"--sample"`}},
		{"bad log level", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --log-level loud", []string{"--log-level: ", `"debug"`, `"loud"`}},
		{"access log that can't be", "run --listen 127.0.0.1:0 --to 127.0.0.1:1 --admin off --access-log /nowhere/at/all", []string{"access log", "/nowhere/at/all"}},
		{"missing file", "run -c /nowhere/at/all.yaml", []string{"/nowhere/at/all.yaml", "no such file"}},
		{"missing file for check", "check -c /nowhere/at/all.yaml", []string{"/nowhere/at/all.yaml", "no such file"}},
		{"one address for two", "run --listen 127.0.0.1:7 --to 127.0.0.1:1 --egress 127.0.0.1:7", []string{"--egress: ", "--listen takes it already"}},
		{"the admin API's address", "run --listen 127.0.0.1:9901 --to 127.0.0.1:1", []string{"--listen: ", "--admin takes it already"}},
		{"several mistakes", "run --listen x --to y --sample 2", []string{"\n  --listen: ", "\n  --to: ", "\n  --sample: "}},
		{"demo without traffic", "demo --rate 0", []string{"--rate"}},
		{"demo before now", "demo --duration -1s", []string{"--duration"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := hopscope(t, strings.Fields(tt.args)...)
			if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "hopscope: ") {
				t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("the error has no %q: %s", want, stderr)
				}
			}
			if strings.Contains(stderr, "clusters") && !strings.Contains(stderr, "-c") {
				t.Errorf("the error speaks of a file that there is not: %s", stderr)
			}
		})
	}
}
