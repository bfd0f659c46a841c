// Package upgrades is the filter that lets requests change to some protocols and to no
// others.
//
// It does not change protocols itself: forward does, where the endpoint agrees. Start
// reading at [New].
package upgrades
