# A service definition, for a service whose hopscope does not register it. Others are sent to the
# port of its hopscope, 8080, and the agent asks the application through it: if either is dead,
# the instance is critical. Into the agent's configuration directory, and consul reload.
service {
  id   = "orders-1"
  name = "orders"
  port = 8080

  meta {
    version = "1.4.2" # hopscope why compares versions
  }

  weights {
    passing = 1
    warning = 1
  }

  check {
    id       = "orders-1-through-hopscope"
    name     = "the application, through hopscope"
    http     = "http://127.0.0.1:8080/healthz"
    interval = "5s"
    timeout  = "1s"
  }
}
