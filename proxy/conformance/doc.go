// Package conformance has the black-box tests of the whole proxy, a package a subject.
//
// They start a proxy with package [proxytest], between real clients and real endpoints, and
// look at what comes over the wire and at what the views show of it. They know nothing of
// the proxy's insides: such tests stand beside the code. What a reload, a restart and an
// upgrade keep is tested in package snapshot.
//
// The packages share nothing and run side by side. Each runs alone:
//
//	go test ./proxy/conformance/retry
//
// To begin a test, read the doc.go of package proxytest.
//
// [proxytest]: https://pkg.go.dev/github.com/hopscope/hopscope/proxy/proxytest
package conformance
