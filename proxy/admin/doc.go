// Package admin is the admin API of a proxy: what it is, what it is doing, and
// which of its recent requests failed or were slow, as JSON for programs and
// as two pages for people.
//
// It only asks: everything it shows comes from the functions of [Options],
// which the data plane answers on demand, and the two things that it changes,
// draining and the log level, are the caller's. It opens no socket and has no
// authentication; guard.go refuses what a hostile web page could make a
// browser send to it. Nobody who asks may cost the requests that are on their way
// much: lane.go bounds how many are answered at once, pace.go how long they may take
// to read, list.go and trace.go how much they are told. Start reading at [Options],
// then the table in endpoints.go.
package admin
