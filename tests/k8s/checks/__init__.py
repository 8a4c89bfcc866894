"""All checks of a rendered set of manifests: each takes the set and yields what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.k8s.checks import (
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
from tests.k8s.manifests import Finding, Manifests
from tests.k8s.validation import objects_follow_the_schemas

Check = Callable[[Manifests], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    objects_decode,
    objects_follow_the_schemas,
    selection.workloads_select_their_own_pods,
    selection.no_two_workloads_select_the_same_pods,
    selection.services_select_pods,
    selection.tiers_are_behind_their_service,
    selection.pods_have_the_agreed_labels,
    selection.replicas_spread_from_their_own_kind,
    addresses.service_ports_exist_at_the_pods,
    addresses.ports_have_one_owner,
    addresses.addresses_lead_to_services,
    addresses.ingress_backends_exist,
    addresses.monitors_find_what_they_scrape,
    probes.tiers_have_all_probes,
    probes.probed_ports_are_plaintext_ports_of_the_container,
    probes.probes_ask_for_real_services,
    resources.containers_have_requests_and_limits,
    resources.quantities_parse,
    resources.requests_fit_limits,
    resources.scratch_volumes_are_bounded,
    security.containers_are_restricted,
    security.pods_share_nothing_of_their_node,
    security.pods_have_no_token,
    security.the_namespace_enforces_it,
    images.images_are_of_this_release,
    images.tiers_run_their_own_image,
    images.gpus_and_cuda_go_together,
    images.retinaface_and_its_image_go_together,
    settings.variables_are_settings,
    settings.values_are_accepted,
    commands.commands_exist,
    commands.commands_use_variables_that_are_set,
    settings.models_are_in_the_manifest,
    settings.tiers_listen_where_they_are_called,
    settings.all_parts_agree_on_sizes,
    stopping.the_grace_period_covers_a_graceful_stop,
    stopping.rollouts_take_no_replica_first,
    scaling.autoscalers_have_a_target,
    scaling.utilisation_has_requests_to_compare_with,
    scaling.autoscaled_workloads_leave_their_replicas_open,
    scaling.no_workload_has_two_autoscalers,
    scaling.budgets_protect_pods_and_let_nodes_drain,
    scaling.tiers_have_a_budget,
    quotas.quotas_have_room,
    references.referenced_objects_exist,
    references.mounts_name_volumes,
    references.weights_are_mounted_read_only_where_they_are_looked_for,
    references.files_that_settings_name_are_mounted,
    references.everything_is_in_the_namespace,
    references.no_secret_is_in_the_manifests,
    certificates.certificates_have_an_issuer,
    certificates.tiers_hold_a_certificate_of_their_name,
    policies.policies_allow_every_needed_call,
    policies.policies_allow_nothing_else,
)


def findings(manifests: Manifests) -> list[Finding]:
    """Everything that is wrong."""
    return [finding for check in CHECKS for finding in check(manifests)]
