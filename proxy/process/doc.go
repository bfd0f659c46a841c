// Package process is the life of one proxy process, from its first look at the
// configuration to its exit code.
//
// [Run] reads a configuration from a [Source] and starts the proxy. Then it acts on
// what happens to the process: it reloads when the source changes, reopens the access
// log, hands its sockets to a new process, and drains before it ends. A Source is a
// file or a key in Consul ([At]), or what the command line says ([Flags]).
//
// It is not the command line, which is package cmd, and it is not what a
// configuration turns into, which is proxy/snapshot. Start reading at Run:
//
//	err := process.Run(ctx, process.Options{Source: process.At("hopscope.yaml"), Version: "v1", Log: os.Stderr})
package process
