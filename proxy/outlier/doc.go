// Package outlier ejects endpoints by what their answers are: many failures in a
// row, or a rate of failures that is unlike that of the others. It is Envoy's
// outlier detection, with its names, defaults and formulas, but for a window that
// slides.
//
// It is pure: time is passed in, as a [time.Duration] on a monotonic clock, and so
// is randomness. It knows no addresses, picks no endpoint, and starts no
// goroutine: the cluster notes outcomes with [Host.Put], calls [Detector.Decide]
// now and then, and acts on the changes.
//
// Start reading at [Detector.Decide], then window.go for how rates are counted.
package outlier
