"""Keys of the engines' own files, table by table, as the versions of the recipes know them.

A path names a table, or a list of tables; ``*`` stands for any name of the user's own. What has no path here
is the user's to fill. Sources: dockerd(8) and the daemon's own structures; containers.conf(5) and
containers-storage.conf(5) of container-libs 0.68 and 1.63.
"""

from __future__ import annotations

from typing import Final, TypeAlias

#: Paths of tables, and the keys of each.
Known: TypeAlias = "tuple[tuple[str, str], ...]"

DAEMON: Final[Known] = (
    (
        "",
        (
            "allow-direct-routing authorization-plugins bip bip6 bridge bridge-accept-fwmark builder "
            "cdi-spec-dirs cgroup-parent containerd-namespace containerd-plugin-namespace cpu-rt-period "
            "cpu-rt-runtime data-root debug default-address-pools default-cgroupns-mode default-gateway "
            "default-gateway-v6 default-init default-ipc-mode default-network-opts default-runtime "
            "default-shm-size default-stop-timeout default-ulimits dns dns-opts dns-search exec-opts "
            "exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6 group "
            "host-gateway-ip host-gateway-ips hosts icc init init-path insecure-registries ip ip-forward "
            "ip-forward-no-drop ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-format "
            "log-level log-opts max-concurrent-downloads max-concurrent-uploads max-download-attempts "
            "metrics-addr min-api-version mtu network-control-plane-mtu network-diagnostic-port "
            "no-new-privileges node-generic-resources nri-opts proxies raw-logs registry-mirrors rootless "
            "runtimes seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opts "
            "swarm-default-advertise-addr swarm-raft-election-tick swarm-raft-heartbeat-tick tls "
            "tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap"
        ),
    ),
    ("builder", "entitlements gc history"),
    (
        "builder.gc",
        "defaultKeepStorage defaultMaxUsedSpace defaultMinFreeSpace defaultReservedSpace enabled policy",
    ),
    (
        "builder.gc.policy",
        "all filter keepDuration keepStorage maxUsedSpace minFreeSpace reservedSpace",
    ),
    ("builder.entitlements", "device network-host security-insecure"),
    ("proxies", "http-proxy https-proxy no-proxy"),
    ("runtimes.*", "options path runtimeArgs runtimeType"),
    ("default-ulimits.*", "Hard Name Soft"),
    ("default-address-pools", "base size"),
    ("nri-opts", "enable plugin-config-path plugin-path socket-path"),
)
CONTAINERS: Final[Known] = (
    ("", "configmaps containers engine farms machine network podmansh secrets"),
    (
        "containers",
        (
            "annotations apparmor_profile base_hosts_file cgroup_conf cgroupns cgroups "
            "container_name_as_hostname default_capabilities default_sysctls default_ulimits devices "
            "dns_options dns_searches dns_servers env env_host host_containers_internal_ip http_proxy "
            "init init_path interface_name ipcns keyring label label_users log_driver log_path "
            "log_size_max log_tag mounts netns no_hosts oom_score_adj pidns pids_limit "
            "prepare_volume_on_create privileged read_only seccomp_profile shm_size tz umask userns "
            "userns_size utsns volumes"
        ),
    ),
    (
        "engine",
        (
            "active_service add_compression cdi_spec_dirs cgroup_check cgroup_manager chown_copied_files "
            "compat_api_enforce_docker_hub compose_providers compose_warning_logs compression_format "
            "compression_level conmon_env_vars conmon_path conmonrs_path database_backend detach_keys "
            "enable_port_reservation env events_container_create_inspect_data events_logfile_max_size "
            "events_logfile_path events_logger exit_command_delay healthcheck_events helper_binaries_dir "
            "hooks_dir image_build_format image_copy_tmp_dir image_default_format image_default_transport "
            "image_parallel_copies image_volume_mode infra_command infra_image init_path "
            "kube_generate_type lock_type multi_image_archive namespace network_cmd_options no_pivot_root "
            "num_locks platform_to_oci_runtime pod_exit_policy podmansh_timeout pull_policy remote "
            "remote_identity remote_uri retry retry_delay runtime runtime_path runtime_supports_json "
            "runtime_supports_kvm runtime_supports_nocgroup runtimes runtimes_flags service_destinations "
            "service_timeout ssh_config static_dir stop_timeout tmp_dir volume_path volume_plugin_timeout "
            "volume_plugins"
        ),
    ),
    ("engine.service_destinations.*", "identity is_machine tls_ca tls_cert tls_key uri"),
    (
        "network",
        (
            "default_host_ips default_network default_rootless_network_cmd default_subnet "
            "default_subnet_pools dns_bind_port firewall_driver netavark_plugin_dirs network_backend "
            "network_config_dir pasta_options rootless_port_forwarder"
        ),
    ),
    ("network.default_subnet_pools", "base size"),
    ("machine", "cpus disk_size image import_native_ca memory provider rosetta user volumes"),
    ("secrets", "driver opts"),
    ("configmaps", "driver opts"),
    ("farms", "default list"),
    ("podmansh", "container shell timeout"),
)
STORAGE: Final[Known] = (
    ("", "storage"),
    (
        "storage",
        "driver driver_priority graphroot imagestore options rootless_storage_path runroot transient_store",
    ),
    (
        "storage.options",
        (
            "additionalimagestores additionallayerstores auto-userns-max-size auto-userns-min-size btrfs "
            "disable-volatile force_mask ignore_chown_errors imagestore mount_program mountopt overlay "
            "pull_options root-auto-userns-user size skip_mount_home use_composefs vfs zfs"
        ),
    ),
    ("storage.options.btrfs", "min_space size"),
    (
        "storage.options.overlay",
        (
            "force_mask ignore_chown_errors inodes mount_program mountopt size skip_mount_home sync "
            "use_composefs"
        ),
    ),
    ("storage.options.vfs", "ignore_chown_errors sync"),
    ("storage.options.zfs", "fsname mountopt size"),
    (
        "storage.options.pull_options",
        (
            "convert_images enable_partial_images insecure_allow_unpredictable_image_contents "
            "ostree_repos use_hard_links"
        ),
    ),
)
