// Package pathtemplate matches paths against templates such as /cart/{id}/items, with the
// syntax and the meaning of Envoy's URI templates. It is pure.
//
//	t, err := pathtemplate.Parse("/cart/{id}/items")
//	t.Match([]byte("/cart/7/items"), nil) // true
//
// Start reading at [Parse].
package pathtemplate
