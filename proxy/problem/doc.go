// Package problem renders the content of error responses that the proxy itself makes: as
// JSON for programs (RFC 9457), as a page of the operator's for browsers, and as a short
// text for all others.
//
// It decides neither status nor fields of a response: package forward does. Start reading
// at [Negotiate], which picks the form by the request's Accept fields, then [Problem].
//
//	form := problem.Negotiate(accept, page != nil)
//	body := p.AppendText(nil)
package problem
