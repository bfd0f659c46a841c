package fault

// Consul is an agent that the endpoints of a mesh come from.
type Consul struct{}
