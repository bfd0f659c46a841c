// Package paths learns the routes of services from the paths of their requests:
// /product/OLJCESPC7Z and /product/66VCHSJNUP are both /product/{id}. It is for routes of
// which the configuration says no more than where their requests go.
//
// What it learns is bounded, whatever clients send. Reading starts at [Learner.Observe].
package paths
