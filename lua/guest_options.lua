-- guest_options.lua - the options of a new guest, whether `lpar create` or `image deploy` makes it.

return {
  MEMORY = { name = "memory", value = "SIZE", type = "size", required = true,
    words = "its memory, in whole MiB" },
  CPUS = { name = "cpus", value = "COUNT", type = "integer", words = "its CPUs (1)" },
  NIC = { name = "nic", value = "KIND", many = true, complete = { "user", "none", "bridge:" },
    words = "a network card: user, bridge:BR or none; may be repeated" },
  ACCEL = { name = "accel", value = "KIND", complete = { "tcg", "kvm" },
    words = "tcg (emulation, the default) or kvm" },
  CPU = { name = "cpu", value = "MODEL", words = "the CPU model (qemu64)" },
  AUTOSTART = { name = "autostart", words = "start it again after its node went down" },
}
