// Command bench measures hopscope beside HAProxy and nginx on one machine, in
// one run: the same backend, the same load, the proxies in turn, several
// rounds. It reports what each costs in CPU a request as the operating system
// counts it, with requests a second and latencies, as JSON and Markdown.
//
// Its other command, check, compares hopscope of this tree with that of another revision:
// make bench-check BASE=main.
//
// It is not a load generator (wrk and h2load are) and not a microbenchmark (go
// test -bench is, beside the code). Every configuration it runs is a file in
// configs/.
//
// Start reading at run in main.go, then groups in group.go (what is compared with
// what), variants in variant.go (the rows of the result) and measure in measure.go
// (the method). A check begins in check.go. README.md says how to run it and how to read what it prints.
package main
