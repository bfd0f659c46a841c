// Package pathform knows the forms in which the path of a URI can be written, and makes
// the normal one of them, so that what is matched is what the endpoint reads. It is pure.
//
//	r := pathform.Rules{Normalize: true, MergeSlashes: true, EscapedSlashes: pathform.Reject}
//	form, verdict := r.Append(nil, []byte("/x/..//%61dmin")) // "/admin", Changed
//
// Start reading at [Rules].
package pathform
