// Package discovery says where a cluster's endpoints come from. An [Endpoint] is an
// address and what is known of it, an [Update] lists the endpoints of a service, and a
// [Source] delivers updates. A [Feed] is a source that others push updates into.
//
// An update is always the whole list. A source that fails keeps its last good answer,
// says that it is stale, and backs off: a failure never empties a cluster. The folders
// below are the sources, and cache, which keeps their last answers in a file. Start
// reading at [Source].
package discovery
