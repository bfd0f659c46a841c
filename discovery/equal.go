package discovery

import (
	"maps"
	"slices"
)

// Equal tells whether two lists have the same endpoints in the same order, so
// that a source delivers what has changed and nothing else.
func Equal(a, b []Endpoint) bool {
	return slices.EqualFunc(a, b, func(a, b Endpoint) bool {
		return a.Address == b.Address && a.Weight == b.Weight && a.Priority == b.Priority &&
			a.Locality == b.Locality && a.Health == b.Health && a.Why == b.Why && maps.Equal(a.Metadata, b.Metadata)
	})
}

// Same tells whether an update would tell nothing new after another: the same
// endpoints, in the same state. Errors are the same if they read the same.
func (u Update) Same(other Update) bool {
	return u.Missing == other.Missing && (u.Endpoints == nil) == (other.Endpoints == nil) &&
		Equal(u.Endpoints, other.Endpoints) && textOf(u.Err) == textOf(other.Err)
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
