// Package admission decides by the success of earlier requests which of the next ones are
// worth a try.
//
// A [Control] counts requests and successes over a window. When too many fail, it lets only
// a share of the next ones through, so that a service that has failed can come back. The
// formula and the defaults are those of Envoy's admission control filter, after the chapter
// on handling overload in Google's book on site reliability. The package is pure: time and
// chance are passed in.
package admission
