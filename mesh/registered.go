package mesh

import "time"

// ConsulService is the name by which proxies of all meshes register their admin APIs in
// Consul.
const ConsulService = "hopscope-admin"

// The keys of the metadata of such a registration.
const (
	metaMesh     = "hopscope-mesh"
	metaService  = "hopscope-service"
	metaInstance = "hopscope-instance"
	metaVersion  = "hopscope-version"
	metaSince    = "hopscope-since"
)

// Metadata says who a member is, for whoever registers it.
func (m Member) Metadata(mesh string) map[string]string {
	return map[string]string{
		metaMesh: mesh, metaService: m.Service, metaInstance: m.Instance, metaVersion: m.Version,
		metaSince: m.Since.UTC().Truncate(time.Second).Format(time.RFC3339),
	}
}

// FromMetadata returns the member that was registered at an address with this metadata, and
// the name of its mesh. It returns false if that does not say who it is, as of an address
// that comes from the DNS.
func FromMetadata(address string, metadata map[string]string) (m Member, mesh string, ok bool) {
	m = Member{Service: metadata[metaService], Instance: metadata[metaInstance], Address: address, Version: metadata[metaVersion]}
	m.Since, _ = time.Parse(time.RFC3339, metadata[metaSince])
	return m, metadata[metaMesh], m.Service != "" && m.Check() == nil
}
