// Command run attacks hopscope, and HAProxy beside it, each in a process of its own with
// little memory or few descriptors, and prints what became of them: whether the process
// lived, what honest clients got meanwhile, and how much memory it took.
//
// It is not the attacks, which are package attack, and not a test: the short forms of the
// attacks in proxy/snapshot are.
//
// Start reading at main.go, then scenarios.go (what is attacked with what) and sandbox.go
// (the limits).
package main
