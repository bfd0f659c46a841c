// Package operators takes format strings with Envoy's command operators apart, such as
// "%REQ(:METHOD)% %RESPONSE_CODE%", and compiles each operator into a func that appends
// what a Hop has for it.
//
//	pieces, err := operators.Parse("to %UPSTREAM_HOST%")
//	value, err := pieces[0].Value(nil)
//	line, kind := value(append(line, pieces[0].Text...), h)
//
// It does not know where the text goes: package accesslog makes lines of it, and the data
// plane header fields. So the caller escapes values, says what stands for none, and may have
// operators of its own. Start reading at [Piece]; operators.go has the table.
package operators
