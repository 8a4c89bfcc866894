"""Mistakes to plant in the real manifests, each with the check that must catch it and what that check must say."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from tests.k8s.checks import (
    Check,
    addresses,
    certificates,
    commands,
    images,
    policies,
    probes,
    quotas,
    references,
    resources,
    scaling,
    security,
    selection,
    settings,
    stopping,
)
from tests.k8s.decoding import objects_decode
from tests.k8s.manifests import INSTANCE, NAME, Manifests, Resource, Workload
from tests.k8s.validation import objects_follow_the_schemas


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One mistake."""

    plant: Callable[[Manifests], None]
    """Makes it, in manifests that may be changed."""
    caught_by: Check
    says: str
    """Part of the finding: the object, and what is wrong with it."""

    @property
    def name(self) -> str:
        """What is done wrong."""
        return self.plant.__name__


MISTAKES: list[Mistake] = []


def planted(mistake: Mistake, manifests: Manifests) -> Manifests:
    """A copy with the mistake in it."""
    copy = deepcopy(manifests)
    mistake.plant(copy)
    return copy


def _caught(by: Check, says: str) -> Callable[[Callable[[Manifests], None]], Callable[[Manifests], None]]:
    def register(plant: Callable[[Manifests], None]) -> Callable[[Manifests], None]:
        MISTAKES.append(Mistake(plant=plant, caught_by=by, says=says))
        return plant

    return register


def _find(manifests: Manifests, kind: str, name: str) -> Resource:
    resource = manifests.find(kind, name)
    assert resource is not None, f"the manifests have no {kind}/{name} to spoil"
    return resource


def _tier(manifests: Manifests, name: str) -> Workload:
    kind = "StatefulSet" if name == "embedder" else "Deployment"
    return Workload(resource=_find(manifests, kind, name))


def _container(manifests: Manifests, tier: str) -> Resource:
    return next(c.spec for c in _tier(manifests, tier).containers if c.name == tier)


def _set_variable(manifests: Manifests, tier: str, name: str, value: str) -> None:
    _container(manifests, tier).setdefault("env", []).append({"name": name, "value": value})


def _first(manifests: Manifests, kind: str) -> Resource:
    return manifests.of_kind(kind)[0]


# Kinds, fields and types


@_caught(objects_follow_the_schemas, "Deployment/detector: Couldn't find schema")
def wrong_api_version(manifests: Manifests) -> None:
    _find(manifests, "Deployment", "detector")["apiVersion"] = "apps/v1beta1"


@_caught(objects_follow_the_schemas, "Deployment/detector: spec.template.spec.containers.0")
def unknown_field(manifests: Manifests) -> None:
    _container(manifests, "detector")["imagePullpolicy"] = "Always"


@_caught(objects_decode, "Deployment/anonymizer: kubectl cannot decode it: quantities must match")
def bad_quantity(manifests: Manifests) -> None:
    _container(manifests, "anonymizer")["resources"]["limits"]["memory"] = "4 GB"


@_caught(objects_decode, "Deployment/gateway: kubectl cannot decode it: json: cannot unmarshal string")
def number_as_text(manifests: Manifests) -> None:
    _tier(manifests, "gateway").spec["minReadySeconds"] = "45"


# Selectors


@_caught(selection.workloads_select_their_own_pods, "Deployment/detector: its selector")
def selector_mismatch(manifests: Manifests) -> None:
    _tier(manifests, "detector").spec["selector"]["matchLabels"][INSTANCE] = "production"


@_caught(selection.no_two_workloads_select_the_same_pods, "Deployment/detector: also selects the pods of")
def selector_without_instance(manifests: Manifests) -> None:
    del _tier(manifests, "detector").spec["selector"]["matchLabels"][INSTANCE]


@_caught(selection.services_select_pods, "Service/anonymizer: no pod has the labels")
def service_selects_nothing(manifests: Manifests) -> None:
    _find(manifests, "Service", "anonymizer")["spec"]["selector"][NAME] = "anonymiser"


@_caught(selection.tiers_are_behind_their_service, "Service/detector: a cluster IP pins")
def service_with_a_cluster_ip(manifests: Manifests) -> None:
    del _find(manifests, "Service", "detector")["spec"]["clusterIP"]


@_caught(selection.tiers_are_behind_their_service, "StatefulSet/embedder: serviceName must be embedder")
def stateful_set_of_another_service(manifests: Manifests) -> None:
    _tier(manifests, "embedder").spec["serviceName"] = "embedders"


@_caught(selection.pods_have_the_agreed_labels, "need the label app.kubernetes.io/version")
def pods_without_version(manifests: Manifests) -> None:
    del _tier(manifests, "gateway").template["metadata"]["labels"]["app.kubernetes.io/version"]


@_caught(selection.replicas_spread_from_their_own_kind, "Deployment/gateway: topologySpreadConstraints")
def spread_from_other_pods(manifests: Manifests) -> None:
    constraint = _tier(manifests, "gateway").pod["topologySpreadConstraints"][0]
    constraint["labelSelector"] = {"matchLabels": {NAME: "web"}}


# Ports and addresses


@_caught(addresses.service_ports_exist_at_the_pods, "Service/gateway: Deployment/gateway has no container port web")
def service_port_that_no_container_has(manifests: Manifests) -> None:
    _find(manifests, "Service", "gateway")["spec"]["ports"][0]["targetPort"] = "web"


@_caught(addresses.service_ports_exist_at_the_pods, "Service/embedder: port 80 is 50052 there")
def headless_service_that_translates(manifests: Manifests) -> None:
    _find(manifests, "Service", "embedder")["spec"]["ports"][0]["port"] = 80


@_caught(addresses.ports_have_one_owner, "Deployment/anonymizer: declares the containerPort 9090 of a port twice")
def one_port_declared_twice(manifests: Manifests) -> None:
    _container(manifests, "anonymizer")["ports"].append({"name": "debug", "containerPort": 9090})


@_caught(addresses.addresses_lead_to_services, "Service/embedder has no port 50051")
def target_port_that_no_service_has(manifests: Manifests) -> None:
    _set_variable(manifests, "gateway", "FACET_EMBEDDER_TARGET", "dns:///embedder:50051")


@_caught(addresses.addresses_lead_to_services, "there is no Service/anonymiser")
def target_that_no_service_has(manifests: Manifests) -> None:
    _set_variable(manifests, "gateway", "FACET_ANONYMIZER_TARGET", "dns:///anonymiser:50053")


@_caught(addresses.ingress_backends_exist, "Service/gateway has no port 8080")
def ingress_to_the_port_of_the_container(manifests: Manifests) -> None:
    path = _first(manifests, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]
    path["backend"]["service"]["port"] = {"number": 8080}


@_caught(addresses.monitors_find_what_they_scrape, "has no port named prometheus")
def monitor_of_a_port_that_no_pod_has(manifests: Manifests) -> None:
    _first(manifests, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] = "prometheus"


# Probes


@_caught(probes.tiers_have_all_probes, "Deployment/gateway container gateway: has no readinessProbe")
def no_readiness_probe(manifests: Manifests) -> None:
    del _container(manifests, "gateway")["readinessProbe"]


@_caught(probes.probed_ports_are_plaintext_ports_of_the_container, "livenessProbe: no port 50059 is declared")
def probe_of_a_port_that_is_not_there(manifests: Manifests) -> None:
    _container(manifests, "embedder")["livenessProbe"]["grpc"]["port"] = 50059


@_caught(probes.probed_ports_are_plaintext_ports_of_the_container, "under TLS the port `health` answers")
def plaintext_probe_of_a_tls_port(manifests: Manifests) -> None:
    _set_variable(manifests, "detector", "FACET_TLS_CERTIFICATE", "/etc/facet/tls/tls.crt")
    _container(manifests, "detector")["livenessProbe"]["grpc"]["port"] = 50051


@_caught(
    probes.probes_ask_for_real_services, "readinessProbe asks for 'facet.v1.Detector'; it must ask for 'facet.v1.De"
)
def probe_naming_no_service(manifests: Manifests) -> None:
    _container(manifests, "detector")["readinessProbe"]["grpc"]["service"] = "facet.v1.Detector"


@_caught(probes.probes_ask_for_real_services, "livenessProbe asks for '/readyz'; it must ask for '/healthz'")
def liveness_that_asks_the_tiers(manifests: Manifests) -> None:
    _container(manifests, "gateway")["livenessProbe"]["httpGet"]["path"] = "/readyz"


# Resources


@_caught(resources.containers_have_requests_and_limits, "container weights: give it memory in resources.limits")
def missing_limit(manifests: Manifests) -> None:
    weights = next(c for c in manifests.containers if c.name == "weights")
    del weights.spec["resources"]["limits"]["memory"]


@_caught(resources.quantities_parse, "StatefulSet/embedder: 2GiB is no quantity")
def quantity_with_a_wrong_suffix(manifests: Manifests) -> None:
    _container(manifests, "embedder")["resources"]["requests"]["memory"] = "2GiB"


@_caught(resources.requests_fit_limits, "Deployment/detector container detector: requests more cpu than its limit")
def request_beyond_the_limit(manifests: Manifests) -> None:
    _container(manifests, "detector")["resources"]["requests"]["cpu"] = "9000m"


@_caught(resources.scratch_volumes_are_bounded, "Deployment/anonymizer: give the volume scratch a sizeLimit")
def scratch_volume_without_end(manifests: Manifests) -> None:
    _tier(manifests, "anonymizer").pod.setdefault("volumes", []).append({"name": "scratch", "emptyDir": {}})


# Security


@_caught(security.containers_are_restricted, "container detector: set securityContext.capabilities")
def capabilities_kept(manifests: Manifests) -> None:
    del _container(manifests, "detector")["securityContext"]["capabilities"]


@_caught(security.containers_are_restricted, "container gateway: set securityContext.readOnlyRootFilesystem to True")
def writable_root(manifests: Manifests) -> None:
    _container(manifests, "gateway")["securityContext"]["readOnlyRootFilesystem"] = False


@_caught(security.containers_are_restricted, "container anonymizer: set securityContext.runAsNonRoot to True")
def root(manifests: Manifests) -> None:
    _tier(manifests, "anonymizer").pod["securityContext"]["runAsNonRoot"] = False


@_caught(security.pods_share_nothing_of_their_node, "StatefulSet/embedder: the volume host is a folder of the host")
def folder_of_the_host(manifests: Manifests) -> None:
    volume = {"name": "host", "hostPath": {"path": "/var/lib/facet"}}
    _tier(manifests, "embedder").pod.setdefault("volumes", []).append(volume)


@_caught(security.pods_have_no_token, "Deployment/gateway: set automountServiceAccountToken: false")
def token_for_the_api_server(manifests: Manifests) -> None:
    _tier(manifests, "gateway").pod["automountServiceAccountToken"] = True


@_caught(security.the_namespace_enforces_it, "Namespace/facet: set the label pod-security.kubernetes.io/enforce")
def lax_namespace(manifests: Manifests) -> None:
    _find(manifests, "Namespace", "facet")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "baseline"


# Images


@_caught(images.images_are_of_this_release, "facet/detector:latest is no facet/<tier> of this release")
def moving_tag(manifests: Manifests) -> None:
    _container(manifests, "detector")["image"] = "facet/detector:latest"


@_caught(images.tiers_run_their_own_image, "as anonymizer")
def image_of_another_tier(manifests: Manifests) -> None:
    _container(manifests, "anonymizer")["image"] = _container(manifests, "detector")["image"]


@_caught(images.gpus_and_cuda_go_together, "container embedder: a GPU limit and a -cuda image must come together")
def gpu_without_cuda(manifests: Manifests) -> None:
    _container(manifests, "embedder")["resources"]["limits"]["nvidia.com/gpu"] = 1


@_caught(images.images_are_of_this_release, "there is no facet/anonymizer:0.1.0-cuda")
def variant_of_another_tier(manifests: Manifests) -> None:
    _container(manifests, "anonymizer")["image"] += "-cuda"


@_caught(
    images.retinaface_and_its_image_go_together, "facet/detector:0.1.0 is not the image for retinaface-mobilenet025"
)
def image_without_retinaface(manifests: Manifests) -> None:
    container = _container(manifests, "detector")
    container["image"] = container["image"].removesuffix("-retinaface")


# Settings


@_caught(settings.variables_are_settings, "FACET_DETECTOR_QUEUESIZE is no setting of Facet")
def misspelt_setting(manifests: Manifests) -> None:
    _set_variable(manifests, "detector", "FACET_DETECTOR_QUEUESIZE", "16")


@_caught(settings.values_are_accepted, "Deployment/anonymizer container anonymizer: queue_size")
def value_that_a_tier_refuses(manifests: Manifests) -> None:
    _set_variable(manifests, "anonymizer", "FACET_ANONYMIZER_QUEUE_SIZE", "many")


@_caught(commands.commands_exist, "there is no command `facet models fetch`")
def command_that_is_not_there(manifests: Manifests) -> None:
    _container(manifests, "detector")["command"] = ["facet", "models", "fetch"]


@_caught(commands.commands_exist, "`facet anonymize` has no option --workers")
def option_that_is_not_there(manifests: Manifests) -> None:
    batch = next(c for c in manifests.containers if c.name == "batch")
    batch.spec["args"] += ["--workers", "4"]


@_caught(commands.commands_use_variables_that_are_set, "its command expands FACET_DETECTOR_MODELS, which is not set")
def command_with_an_unset_variable(manifests: Manifests) -> None:
    _container(manifests, "detector")["command"] = ["sh", "-c", 'facet models pull "$FACET_DETECTOR_MODELS"']


@_caught(settings.models_are_in_the_manifest, "FACET_EMBEDDER_MODEL=arcface is no model")
def model_that_cannot_be_installed(manifests: Manifests) -> None:
    _set_variable(manifests, "embedder", "FACET_EMBEDDER_MODEL", "arcface")


@_caught(settings.tiers_listen_where_they_are_called, "declare the port metrics as 9101, which it opens")
def metrics_on_another_port(manifests: Manifests) -> None:
    _set_variable(manifests, "detector", "FACET_DETECTOR_METRICS_PORT", "9101")


@_caught(settings.tiers_listen_where_they_are_called, "set FACET_HOST=0.0.0.0")
def listening_on_loopback(manifests: Manifests) -> None:
    _set_variable(manifests, "anonymizer", "FACET_HOST", "127.0.0.1")


@_caught(settings.all_parts_agree_on_sizes, "limits pictures otherwise than the others")
def larger_pictures_for_one_part(manifests: Manifests) -> None:
    _set_variable(manifests, "gateway", "FACET_MAX_IMAGE_BYTES", "100000000")


# Rollouts and scaling


@_caught(stopping.the_grace_period_covers_a_graceful_stop, "Deployment/detector: terminationGracePeriodSeconds is 30")
def grace_period_too_short(manifests: Manifests) -> None:
    del _tier(manifests, "detector").pod["terminationGracePeriodSeconds"]


@_caught(stopping.rollouts_take_no_replica_first, "Deployment/gateway: set strategy.rollingUpdate.maxUnavailable: 0")
def rollout_that_takes_a_replica(manifests: Manifests) -> None:
    _tier(manifests, "gateway").spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 1}}


@_caught(scaling.autoscalers_have_a_target, "does not exist")
def autoscaler_without_target(manifests: Manifests) -> None:
    _first(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] = "detectors"


@_caught(scaling.autoscalers_have_a_target, "use autoscaling/v2")
def autoscaler_of_an_old_version(manifests: Manifests) -> None:
    _first(manifests, "HorizontalPodAutoscaler")["apiVersion"] = "autoscaling/v2beta2"


@_caught(scaling.utilisation_has_requests_to_compare_with, "scales by cpu, which")
def share_of_no_request(manifests: Manifests) -> None:
    for container in manifests.containers:
        del container.spec["resources"]["requests"]["cpu"]


@_caught(scaling.autoscaled_workloads_leave_their_replicas_open, "remove replicas")
def replicas_that_undo_the_scaling(manifests: Manifests) -> None:
    _tier(manifests, "anonymizer").spec["replicas"] = 2


@_caught(scaling.no_workload_has_two_autoscalers, "has two autoscalers")
def two_autoscalers(manifests: Manifests) -> None:
    first, second = manifests.of_kind("HorizontalPodAutoscaler")[:2]
    second["spec"]["scaleTargetRef"] = first["spec"]["scaleTargetRef"]


@_caught(scaling.budgets_protect_pods_and_let_nodes_drain, "PodDisruptionBudget/gateway: selects nothing")
def budget_selecting_nothing(manifests: Manifests) -> None:
    budget = _find(manifests, "PodDisruptionBudget", "gateway")
    budget["spec"]["selector"]["matchLabels"][NAME] = "api"


@_caught(scaling.budgets_protect_pods_and_let_nodes_drain, "no node can ever be drained")
def budget_that_blocks_every_eviction(manifests: Manifests) -> None:
    spec = _find(manifests, "PodDisruptionBudget", "embedder")["spec"]
    del spec["maxUnavailable"]
    spec["minAvailable"] = "100%"


@_caught(scaling.tiers_have_a_budget, "Deployment/anonymizer: no PodDisruptionBudget selects its pods")
def tier_without_budget(manifests: Manifests) -> None:
    _find(manifests, "PodDisruptionBudget", "anonymizer")["spec"]["selector"]["matchLabels"][NAME] = "gateway"


@_caught(quotas.quotas_have_room, "ResourceQuota/facet: requests.cpu is 16, but")
def quota_that_stops_the_autoscaler(manifests: Manifests) -> None:
    _find(manifests, "ResourceQuota", "facet")["spec"]["hard"]["requests.cpu"] = "16"


# References


@_caught(references.referenced_objects_exist, "there is no ConfigMap/facet-setting")
def settings_that_are_not_there(manifests: Manifests) -> None:
    _container(manifests, "detector")["envFrom"].append({"configMapRef": {"name": "facet-setting"}})


@_caught(references.referenced_objects_exist, "Deployment/gateway: there is no Secret/facet-keys")
def secret_that_nobody_makes(manifests: Manifests) -> None:
    volume = {"name": "more", "secret": {"secretName": "facet-keys"}}
    _tier(manifests, "gateway").pod["volumes"].append(volume)


@_caught(references.mounts_name_volumes, "container gateway: mounts cache, which is no volume of its pod")
def mount_of_no_volume(manifests: Manifests) -> None:
    _container(manifests, "gateway")["volumeMounts"].append({"name": "cache", "mountPath": "/var/cache/facet"})


@_caught(references.weights_are_mounted_read_only_where_they_are_looked_for, "container embedder: mount the weights at")
def weights_in_another_folder(manifests: Manifests) -> None:
    _set_variable(manifests, "embedder", "FACET_MODELS_DIR", "/models")


@_caught(references.files_that_settings_name_are_mounted, "but no volume is mounted there")
def key_file_that_is_not_mounted(manifests: Manifests) -> None:
    _set_variable(manifests, "gateway", "FACET_GATEWAY_KEYS", "/etc/facet/secrets/keys.toml")


@_caught(references.everything_is_in_the_namespace, "Service/gateway: set namespace: facet")
def object_in_another_namespace(manifests: Manifests) -> None:
    _find(manifests, "Service", "gateway")["metadata"]["namespace"] = "default"


@_caught(references.no_secret_is_in_the_manifests, "Secret/facet-api-keys: make it with kubectl")
def secret_in_the_repository(manifests: Manifests) -> None:
    secret = manifests.of_kind("ConfigMap")[0]
    secret |= {"kind": "Secret", "metadata": {"name": "facet-api-keys", "namespace": "facet"}}


# Certificates


@_caught(certificates.certificates_have_an_issuer, "Certificate/detector: there is no Issuer/facet-authority")
def certificate_that_nobody_issues(manifests: Manifests) -> None:
    _find(manifests, "Certificate", "detector")["spec"]["issuerRef"]["name"] = "facet-authority"


@_caught(certificates.tiers_hold_a_certificate_of_their_name, "Certificate/embedder: add embedder, which mounts it")
def certificate_of_another_name(manifests: Manifests) -> None:
    _find(manifests, "Certificate", "embedder")["spec"]["dnsNames"] = ["embedders"]


# Network policies


@_caught(
    policies.policies_allow_every_needed_call, "allow Deployment/gateway to reach Deployment/detector at TCP 50051"
)
def policy_that_cuts_a_needed_arrow(manifests: Manifests) -> None:
    for policy in manifests.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                if port["port"] in ("grpc", 50051):
                    port["port"] = 50059


@_caught(policies.policies_allow_every_needed_call, "to reach DNS at UDP 53")
def policy_that_cuts_names(manifests: Manifests) -> None:
    for policy in manifests.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            rule["ports"] = [port for port in rule.get("ports", []) if port.get("protocol") != "UDP"] or [{"port": 1}]


@_caught(policies.policies_allow_nothing_else, "must not allow Deployment/anonymizer to reach")
def policy_that_lets_a_tier_call_out(manifests: Manifests) -> None:
    everything: Resource = {"podSelector": {}, "policyTypes": ["Egress", "Ingress"], "egress": [{}], "ingress": [{}]}
    _first(manifests, "NetworkPolicy")["spec"] = everything
