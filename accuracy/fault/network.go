package fault

import (
	"time"

	"github.com/miekg/dns"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// networkDelay is that of a slow network, each way.
const networkDelay = 500 * time.Millisecond

// ofNetworks are the faults of names, of the network and of certificates.
func ofNetworks() []*Fault {
	return []*Fault{
		{Name: "slow_network", Patient: true, AtOnce: 10, OnEdge: true, Plan: slowNetwork, Truth: slow(func(at Place) Truth {
			t := onTheWay(hop.PartNetwork)(at)
			t.Services = append(t.Services, at.Caller) // either end of the way
			return t
		})},
		{Name: "slow_reader", Patient: true, AtOnce: 10, Where: HTTP, OnEdge: true, Graph: func(g *mesh.Graph, at Place) {
			g.Call(at.Caller, at.Target).ReadSlowly = 2 * time.Second
		}, Inject: trouble(app.Large), Truth: slow(func(at Place) Truth {
			return Truth{Services: []string{at.Caller}, Parts: parts(hop.PartApplication)}
		})},
		{Name: "connect_timeout", OnEdge: true, Plan: func(p *mesh.Plan, at Place) error {
			address, close, err := deafAddress()
			if err != nil {
				return err
			}
			p.OnClose(close)
			c := p.Cluster(at.Caller, at.Target)
			c["endpoints"], c["connect_timeout"] = []string{address}, "200ms"
			return nil
		}, Truth: func(at Place) Truth {
			t := edge(hop.PartNetwork, "connect_timeout")(at)
			t.Parts = append(t.Parts, hop.PartProxy) // from the caller's side they look the same
			return t
		}},
		{Name: "dns_no_answer", OnEdge: true, Plan: lookUp(dns.RcodeServerFailure), Truth: edge(hop.PartResolution, "dns_failed", "undiscovered", "no_healthy")},
		{Name: "dns_no_name", OnEdge: true, Plan: lookUp(dns.RcodeNameError), Truth: edge(hop.PartResolution, "dns_failed", "undiscovered", "no_healthy", "no_cluster")},
		{Name: "certificate_expired", Plan: certificates(false, func(a *authority, at Place) (mesh.Config, error) {
			return a.issue(at.Target, time.Now().Add(-24*time.Hour))
		}), Truth: onTheWay(hop.PartCertificate, "cert_expired")},
		{Name: "certificate_name", Plan: certificates(false, func(a *authority, at Place) (mesh.Config, error) {
			return a.issue("other", time.Now().Add(time.Hour))
		}), Truth: onTheWay(hop.PartCertificate, "cert_name")},
		{Name: "certificate_unknown", Plan: certificates(true, func(a *authority, at Place) (mesh.Config, error) {
			return a.issue(at.Target, time.Now().Add(time.Hour))
		}), Truth: onTheWay(hop.PartCertificate, "cert_unknown")},
		{Name: "client_certificate_expired", OnEdge: true, Plan: clientCertificate, Truth: ofCaller(hop.PartCertificate,
			"tls_cert_rejected")},
	}
}

// edge is the truth for a fault on the way of one caller to the target.
func edge(part hop.Part, kinds ...string) func(Place) Truth {
	return func(at Place) Truth {
		t := onTheWay(part, kinds...)(at)
		t.Near, t.Callers = []string{at.Caller}, []string{at.Caller}
		return t
	}
}

func slowNetwork(p *mesh.Plan, at Place) error {
	r, err := startRelay(p.Address(at.Target), networkDelay)
	if err != nil {
		return err
	}
	p.OnClose(r.close)
	p.Cluster(at.Caller, at.Target)["endpoints"] = []string{r.address()}
	return nil
}

// lookUp has the caller's sidecar look the target up in a DNS that answers with a code.
func lookUp(code int) func(*mesh.Plan, Place) error {
	return func(p *mesh.Plan, at Place) error {
		r, err := startResolver(code)
		if err != nil {
			return err
		}
		p.OnClose(r.close)
		p.NeverReady[at.Caller] = true // it does not know a cluster's endpoints
		c := p.Cluster(at.Caller, at.Target)
		delete(c, "endpoints")
		c["dns"] = mesh.Config{"name": at.Target + ".mesh.test", "port": 80, "resolver": r.address()}
		return nil
	}
}

// certificates puts TLS between the target's sidecar and its callers'. The target shows
// what issue makes. If unknown is true, the callers do not know its authority.
func certificates(unknown bool, issue func(*authority, Place) (mesh.Config, error)) func(*mesh.Plan, Place) error {
	return func(p *mesh.Plan, at Place) error {
		known, err := newAuthority(p)
		if err != nil {
			return err
		}
		signer := known
		if unknown {
			if signer, err = newAuthority(p); err != nil {
				return err
			}
		}
		cert, err := issue(signer, at)
		if err != nil {
			return err
		}
		p.Inbound(at.Target)["tls"] = mesh.Config{"certificates": []any{cert}}
		for _, caller := range at.Callers {
			p.Cluster(caller, at.Target)["tls"] = mesh.Config{"ca": known.file, "sni": at.Target}
		}
		return nil
	}
}

// clientCertificate has the target ask for certificates. That of one caller has expired.
func clientCertificate(p *mesh.Plan, at Place) error {
	a, err := newAuthority(p)
	if err != nil {
		return err
	}
	cert, err := a.issue(at.Target, time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	p.Inbound(at.Target)["tls"] = mesh.Config{"certificates": []any{cert}, "client_auth": "require", "client_ca": a.file}
	for _, caller := range at.Callers {
		end := time.Now().Add(time.Hour)
		if caller == at.Caller {
			end = time.Now().Add(-24 * time.Hour)
		}
		own, err := a.issue(caller, end)
		if err != nil {
			return err
		}
		own["ca"], own["sni"] = a.file, at.Target
		p.Cluster(caller, at.Target)["tls"] = own
	}
	return nil
}
