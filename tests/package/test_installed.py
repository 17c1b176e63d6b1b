# SPDX-License-Identifier: Apache-2.0
"""The packages on a system that had none of this: installed, used, configured, upgraded, removed."""

import os
import shutil
import time

import pytest

from machine import Machine, make_root

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

CONFIG = "/etc/token-service/token-service.yaml"


def remove(folder):
    """What ran in the machine ends a moment after it, and may write until then."""
    deadline = time.monotonic() + 30
    while True:
        try:
            shutil.rmtree(folder)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def system(packages, tmp_path_factory):
    """The machine, with the packages installed; the tests below tell one story, in their order."""
    if os.geteuid() != 0:
        pytest.skip("a machine is made and booted by root only")
    root = tmp_path_factory.mktemp("machine") / "root"
    root.mkdir()
    make_root(root)
    machine = Machine(root)
    for path in packages.values():
        shutil.copy(path, root / "root")
    machine.run("apt-get update -q && cd /root && apt-get install -q -y --no-install-recommends ./*.deb")
    yield machine
    machine.stop()
    remove(root.parent)


def active(system, unit):
    return system.run(f"systemctl is-active {unit}", check=False).stdout.strip()


def test_the_service_runs_and_the_gateway_waits_to_be_configured(system):
    assert active(system, "token-service") == "active"
    assert system.run("systemctl is-enabled token-service").stdout.strip() == "enabled"
    assert active(system, "token-gateway") == "inactive"
    assert system.run("systemctl is-enabled token-gateway", check=False).stdout.strip() == "disabled"


def test_the_admin_token_of_the_data_folder_opens_it(system):
    system.run("osmo login http://127.0.0.1:8080 --token-file /var/lib/token-service/admin.token")
    system.run("osmo token set one")
    assert "one" in system.run("osmo token list").stdout
    owners = system.run("stat -c '%U %a' /var/lib/token-service /var/lib/token-service/*").stdout.splitlines()
    assert owners[0] == "token-service 700" and set(owners[1:]) == {"token-service 600"}


def test_the_process_can_do_nothing_else(system):
    pid = system.run("systemctl show -P MainPID token-service").stdout.strip()
    status = dict(line.split(":\t", 1) for line in system.run(f"cat /proc/{pid}/status").stdout.splitlines()
                  if ":\t" in line)
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split()[0] == system.run("id -u token-service").stdout.strip()
    journal = system.run("journalctl -u token-service -o cat").stdout
    assert '"level":"warning"' not in journal and '"level":"error"' not in journal


def test_the_gateway_serves_once_it_is_started(system):
    system.run("systemctl start token-gateway")
    system.run("osmo login http://127.0.0.1:8081 --token-file /var/lib/token-service/admin.token")
    assert "one" in system.run("osmo token list").stdout
    system.run("systemctl stop token-gateway")


def test_a_reload_is_told(system):
    system.run("systemctl reload token-service")
    system.run("for i in $(seq 100); do journalctl -u token-service -o cat | grep -q reload.done && exit 0;"
               " sleep 0.1; done; exit 1")
    assert active(system, "token-service") == "active"


def test_a_wrong_configuration_is_said_once_and_not_tried_again(system):
    system.run(f"cp {CONFIG} /root/good; echo 'threads: many' >> {CONFIG}")
    assert system.run("systemctl restart token-service", check=False).returncode != 0
    assert active(system, "token-service") == "failed"
    journal = system.run("journalctl -u token-service -o cat -n 20").stdout
    assert f"--threads must be a whole number from 0 to 256, got 'many' from {CONFIG}:" in journal
    system.run(f"cp /root/good {CONFIG}; systemctl reset-failed token-service; systemctl start token-service")


def test_secrets_come_as_credentials(system):
    """A key that only root may read on disk is read by the service, and by no other user."""
    secret = "f" * 64
    folder = "/etc/token-service/credentials"
    system.run(f"umask 077; printf %s {secret} > {folder}/admin.token; sed -i 's/^#admin-token-file/admin-token-file/'"
               f" {CONFIG}; systemctl restart token-service")
    system.run(f"printf %s {secret} | osmo login http://127.0.0.1:8080 --token-file -")
    seen = "/run/credentials/token-service.service/token-service_admin.token"
    assert secret in system.run(f"cat {seen}").stdout
    assert system.run(f"runuser -u nobody cat {seen}", check=False).returncode != 0
    assert system.run(f"runuser -u token-service cat {folder}/admin.token", check=False).returncode != 0
    system.run(f"rm {folder}/admin.token; cp /root/good {CONFIG}; systemctl restart token-service")


def test_a_lost_admin_token_is_made_again(system):
    system.run("systemctl stop token-service; rm -f /var/lib/token-service/admin.token;"
               f" runuser -u token-service -- token-service admin-token --config {CONFIG};"
               " systemctl start token-service")
    system.run("osmo login http://127.0.0.1:8080 --token-file /var/lib/token-service/admin.token")


def test_an_upgrade_keeps_data_and_configuration(system):
    system.run(f"echo '# mine' >> {CONFIG}; cd /root && apt-get install -q -y --reinstall ./token-service_*.deb"
               " ./token-gateway_*.deb")
    assert active(system, "token-service") == "active"
    assert active(system, "token-gateway") == "inactive"
    assert "# mine" in system.run(f"cat {CONFIG}").stdout
    assert "one" in system.run("osmo token list").stdout


def test_man_and_completion_lie_where_they_are_looked_for(system):
    system.run("bash -c '. /usr/share/bash-completion/completions/osmo && complete -p osmo'")
    assert "token-service \\- serve access tokens" in system.run(
        "zcat /usr/share/man/man8/token-service.8.gz").stdout.replace("token\\-", "token-")


def test_a_purge_leaves_the_data_and_its_owner_only(system):
    system.run("dpkg --purge token-service token-gateway osmo-cli")
    left = system.run("find / -xdev \\( -name '*token-service*' -o -name '*token-gateway*' -o -name '*osmo*' \\)"
                      " -not -path '/root/*' -not -path '/proc/*' -not -path '/sys/*'").stdout.split()
    assert left == ["/var/lib/token-service"]
    assert system.run("cat /var/lib/token-service/key").stdout
    assert system.run("pgrep -x token-service", check=False).returncode == 1
    users = system.run("getent passwd token-service token-gateway", check=False).stdout.split()
    assert [line.split(":")[0] for line in users] == ["token-service", "token-gateway"]
