// Package admit is the filter that refuses a share of a route's requests while too many of
// them fail. Which share that is package admission decides. Start reading at [New].
package admit
