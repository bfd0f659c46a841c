// Package admin is the admin API of a proxy. It shows what the proxy is, what it is
// doing, and which recent requests failed or were slow, as JSON for programs and as two
// pages for people.
//
// Everything that it shows or changes goes through the functions of [Options]. It opens
// no socket. [Access] says who may read and who may control; guard.go refuses what a
// hostile web page could make a browser send. Its clients must not slow the proxy's
// traffic down: lane.go limits how many requests are answered at once, pace.go how long
// clients may take to read, list.go and trace.go the size of answers, peers.go what is
// relayed to other proxies of the mesh. Start reading at [Options], then the table in
// endpoints.go.
package admin
