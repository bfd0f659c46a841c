# The service web with a hopscope beside it, both in one group: they share the loopback
# interface. hopscope registers web in Consul by itself, so the job has no service of its own.
#   nomad job run deploy/nomad/web.nomad.hcl
variable "image" {
  type    = string
  default = "registry.example/web:1.0.0"
}

job "web" {
  datacenters = ["*"]
  type        = "service"

  update {
    max_parallel     = 1
    health_check     = "task_states"
    min_healthy_time = "10s"
    healthy_deadline = "3m"
    auto_revert      = true
  }

  group "web" {
    count = 2

    network {
      mode = "bridge"
      port "http" { to = 8080 }
    }

    task "hopscope" {
      driver = "docker"

      # It starts before the application, and ends after it.
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image           = "ghcr.io/hopscope/hopscope:v1.0.0"
        args            = ["run", "-c", "/local/hopscope.yaml"]
        ports           = ["http"]
        readonly_rootfs = true
        cap_drop        = ["all"]
      }

      # Where others reach web is known when the group has its ports.
      template {
        data          = file("hopscope.yaml.tpl")
        destination   = "local/hopscope.yaml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      # A drain takes 30 s at most.
      kill_signal  = "SIGTERM"
      kill_timeout = "40s"

      resources {
        cpu    = 100
        memory = 128
      }
    }

    task "web" {
      driver = "docker"

      config {
        image = var.image
      }

      env {
        LISTEN     = "127.0.0.1:3000"
        HTTP_PROXY = "http://127.0.0.1:8081"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
