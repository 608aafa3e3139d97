"""Each root below live/ against moto: applied, planned again to no difference, read as relman reads it, destroyed."""

import ipaddress
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PUBLIC_KEY
from iam import findings
from terraform import REGION, differences, unexplained

SOURCES = {"office": "203.0.113.0/28"}
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake"
HOST_FIELDS = {"name": str, "address": str, "port": int, "user": str, "host_keys": list}
CONFIG_FIELDS = {
    "host_template",
    "service",
    "environment",
    "region",
    "ledger_table",
    "artifacts_bucket",
    "repository_url",
    "parameter_path",
    "access",
    "ssm_document",
    "service_address",
    "autoscaling_group",
}


def check_shape(outputs: dict) -> None:
    """The interface that relman reads: infra/README.md says it in words."""
    hosts, config = outputs["relman_hosts"], outputs["relman_config"]
    assert hosts
    for host in hosts:
        assert set(host) == {*HOST_FIELDS, "ssm_id", "bastion"}
        assert all(type(host[k]) is t for k, t in HOST_FIELDS.items())
        assert host["ssm_id"] is None or host["ssm_id"].startswith("i-")
        if host["bastion"] is not None:
            assert set(host["bastion"]) == {"address", "port", "user", "host_keys"}
    assert len({h["name"] for h in hosts}) == len({h["address"] for h in hosts}) == len(hosts)
    assert set(config) == CONFIG_FIELDS
    assert json.loads(json.dumps(config)) == config


def again(root, false_drifts) -> None:
    assert unexplained(differences(root.plan()), false_drifts) == []


@pytest.fixture(scope="module")
def single(root, state_place, stand_in_foundation, ami):
    made = root(
        "live/single",
        environment="staging",
        foundation=stand_in_foundation,
        ami_id=ami,
        deletion_protection=False,
        ssh_public_key=PUBLIC_KEY,
        ssh_sources=SOURCES,
        address_source="private",
        alarm_emails=["ops@example.com"],
        hosts={"web-1": {"private_ip": "10.40.0.11", "host_keys": [HOST_KEY]}, "web-2": {"private_ip": "10.40.0.12"}},
    )
    made.init("-backend-config=key=staging.tfstate", *(f"-backend-config={k}={v}" for k, v in state_place.items()))
    made.apply()
    return made


def test_single_is_what_its_outputs_say_and_a_second_plan_changes_nothing(single, client, false_drifts):
    outputs = single.outputs()
    check_shape(outputs)
    assert [(h["name"], h["address"], h["host_keys"]) for h in outputs["relman_hosts"]] == [
        ("web-1", "10.40.0.11", [HOST_KEY]),
        ("web-2", "10.40.0.12", []),
    ]
    ec2 = client("ec2")
    mine = [{"Name": "tag:relman:environment", "Values": ["staging"]}]
    instances = [i for r in ec2.describe_instances(Filters=mine)["Reservations"] for i in r["Instances"]]
    assert len(instances) == 2
    for instance in instances:
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    ids = [b["Ebs"]["VolumeId"] for i in instances for b in i["BlockDeviceMappings"]]
    assert all(v["Encrypted"] and v["VolumeType"] == "gp3" for v in ec2.describe_volumes(VolumeIds=ids)["Volumes"])
    again(single, false_drifts)


def test_parliament_finds_nothing_in_the_policies_of_single(single, client):
    count, found = findings(client("iam"))
    assert count > 0 and found == []


def test_an_image_that_moved_replaces_no_host(single, client, ami, false_drifts):
    other = next(
        i["ImageId"] for i in client("ec2").describe_images(Owners=["amazon"])["Images"] if i["ImageId"] != ami
    )
    single.with_variables(ami_id=other)
    try:
        again(single, false_drifts)
    finally:
        single.with_variables(ami_id=ami)


def test_a_changed_host_is_a_difference_that_nothing_explains_away(single, client, false_drifts):
    """The list of false drifts must not hide a true one."""
    ec2 = client("ec2")
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["relman-web-staging-host"]}])[
        "SecurityGroups"
    ][0]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    assert [d["address"] for d in unexplained(differences(single.plan()), false_drifts)] == [
        'module.hosts.aws_vpc_security_group_ingress_rule.host["service-443"]'
    ]


def test_single_is_destroyed_without_a_trace(single, client):
    single.destroy()
    assert single.resources() == []
    left = client("ec2").describe_vpcs(Filters=[{"Name": "tag:relman:environment", "Values": ["staging"]}])["Vpcs"]
    assert left == []


@pytest.fixture(scope="module")
def private_and_ha(root, bootstrapped, ami, certificate):
    """Side by side: most of their time is the provider's waiting for load balancers."""
    foundation = bootstrapped.outputs()["foundation"]
    bootstrapped.write_backend()
    private = root(
        "live/private",
        environment="staging",
        foundation=foundation,
        ami_id=ami,
        deletion_protection=False,
        access="bastion",
        ssh_public_key=PUBLIC_KEY,
        ssh_sources=SOURCES,
        address_source="private",
        bastion={"private_ip": "10.40.0.5", "host_keys": [HOST_KEY]},
        hosts={"web-1": {"private_ip": "10.40.8.11"}, "web-2": {"private_ip": "10.40.9.11", "zone": 1}},
        load_balancer={"certificate_arn": certificate},
    )
    ha = root(
        "live/ha",
        environment="production",
        foundation=foundation,
        ami_id=ami,
        deletion_protection=False,
        certificate_arn=certificate,
        target_cpu_percent=60,
    )
    roots = {"private": private, "ha": ha}

    def make(made):
        made.init("-backend-config=../backend.hcl", f"-backend-config=key={made.variables['environment']}.tfstate")
        made.apply()

    with ThreadPoolExecutor() as pool:
        list(pool.map(make, roots.values()))
    yield roots
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda r: r.destroy(), roots.values()))
    assert all(r.resources() == [] for r in roots.values())


@pytest.mark.slow
def test_private_names_no_public_address_and_a_second_plan_changes_nothing(private_and_ha, false_drifts):
    outputs = private_and_ha["private"].outputs()
    check_shape(outputs)
    assert [h["address"] for h in outputs["relman_hosts"]] == ["10.40.8.11", "10.40.9.11"]
    for host in outputs["relman_hosts"]:
        assert ipaddress.ip_address(host["address"]).is_private
        assert host["bastion"] == {"address": "10.40.0.5", "port": 22, "user": "admin", "host_keys": [HOST_KEY]}
    again(private_and_ha["private"], false_drifts)


@pytest.mark.slow
def test_ha_names_the_fleet_that_is_there_and_a_second_plan_changes_nothing(private_and_ha, client, false_drifts):
    ha = private_and_ha["ha"]
    outputs = ha.outputs()
    check_shape(outputs)
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["relman-web-production"])
    there = {i["InstanceId"] for i in groups["AutoScalingGroups"][0]["Instances"]}
    assert {h["ssm_id"] for h in outputs["relman_hosts"]} == {h["name"] for h in outputs["relman_hosts"]} == there
    assert outputs["relman_config"]["ssm_document"] == "relman-web-production"
    assert [h["address"] for h in outputs["relman_hosts"]] == [
        f"{h['name']}.{REGION}.compute.internal" for h in outputs["relman_hosts"]
    ]
    template = outputs["relman_config"]["host_template"]
    assert (template["name"], template["ssm_id"]) == ("{id}", "{id}")
    assert template["address"] == f"{{id}}.{REGION}.compute.internal"
    assert set(template) == set(outputs["relman_hosts"][0]), "a host is made of it as it stands"
    again(ha, false_drifts)


@pytest.mark.slow
def test_parliament_finds_nothing_in_the_policies_of_private_and_ha(private_and_ha, client):
    count, found = findings(client("iam"))
    assert count > 0 and found == []
