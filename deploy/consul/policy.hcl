# The rights of one hopscope: that of the service web, which calls orders. It needs each of
# them, and nothing else. Give every service a policy of its own.
#   consul acl policy create -name hopscope-web -rules @deploy/consul/policy.hcl

# It registers the service,
service "web" {
  policy = "write"
}

# itself as the sidecar of the service,
service "web-sidecar-proxy" {
  policy = "write"
}

# and its admin API, by which the proxies of the mesh find each other.
service "hopscope-admin" {
  policy = "write"
}

# It finds the services that it calls,
service "orders" {
  policy = "read"
}

# wherever they run: Consul leaves out what is on a node that may not be read.
node_prefix "" {
  policy = "read"
}

# Its configuration, where that is a key: hopscope run -c consul://127.0.0.1:8500/hopscope/web.yaml
key "hopscope/web.yaml" {
  policy = "read"
}
