// Package clitest tests hopscope as its users have it: it builds the real binary once,
// runs it with arguments, and looks at what it prints, serves and returns.
//
// It is for what only a whole process shows: the command line, signals, reloads and
// upgrades, logs and exit codes. Anything that a package can show by itself is tested
// beside its code. Start reading at start in main_test.go; a test looks like this:
//
//	p := runProxy(t, serve(t, hello))
//	resp, body := get(t, p.url())
//	p.drained()
package clitest
