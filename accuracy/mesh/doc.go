// Package mesh makes meshes of services and runs them: each an application with a
// sidecar, which is a real hopscope process. A seed gives the same mesh every time.
//
// It does not judge, and knows no faults but by what they ask it to change. Start reading
// at [Generate], [NewPlan] and [Start].
package mesh
