// Package cmd is hopscope's command line: one file for each command, and root.go, which
// puts them together.
//
// A command turns flags into options and calls the package that does the work:
// proxy/process runs and checks configurations, deploy/demo is the demo, proxy/config
// prints the schema and the reference. No command does work of its own, but for explain,
// which looks words up in the tables of telemetry/words and proxy/fault. The tests that
// run the real binary are in clitest. Start reading at [Execute], then run.go.
package cmd
