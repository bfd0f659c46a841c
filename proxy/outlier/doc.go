// Package outlier ejects endpoints because of their answers: many failures in a row, or a
// failure rate unlike that of the other endpoints. It is Envoy's outlier detection, with
// the same names, defaults and formulas, except that the window slides.
//
// It is pure: callers pass in the time, as a [time.Duration] on a monotonic clock, and
// random bits. It knows no addresses, picks no endpoint and starts no goroutine. The
// cluster records outcomes with [Host.Put], calls [Detector.Decide] regularly, and acts
// on the changes.
//
// Start reading at [Detector.Decide], then window.go for how rates are counted.
package outlier
