# The hopscope of web; Nomad fills in addresses. Consul's agent runs on the client.
service: web
admin: {address: 127.0.0.1:9901}
consul: {address: "{{ env "attr.unique.network.ip-address" }}:8500"}
register:
  consul:
    id: "web-{{ env "NOMAD_ALLOC_ID" }}"
    address: "{{ env "NOMAD_HOST_IP_http" }}"
    port: {{ env "NOMAD_HOST_PORT_http" }}
    check: {http: "http://{{ env "NOMAD_HOST_ADDR_http" }}/healthz", interval: 5s}
listeners:
  - name: inbound
    address: 0.0.0.0:8080
    routes: [{cluster: web}]
  - name: outbound
    address: 127.0.0.1:8081
    direction: outbound
    forward_proxy: {}
    routes:
      - {name: orders, match: {hosts: [orders]}, cluster: orders}
clusters:
  web: {endpoints: [127.0.0.1:3000]}
  orders: {consul: {service: orders}}
