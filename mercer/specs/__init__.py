"""Job specs, one file for each kind. The union is the registry of kinds: everything else is derived from it."""

from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from mercer.specs.base import Cost, Spec
from mercer.specs.energy_based_sliced_wasserstein import EnergyBasedSlicedWasserstein
from mercer.specs.generalised_sliced_wasserstein import GeneralisedSlicedWasserstein
from mercer.specs.gram import Gram
from mercer.specs.max_sliced_wasserstein import MaxSlicedWasserstein
from mercer.specs.private_classifier import PrivateClassifier
from mercer.specs.private_density import PrivateDensity
from mercer.specs.private_density_query import PrivateDensityQuery
from mercer.specs.private_distance import PrivateDistance
from mercer.specs.sliced_wasserstein import SlicedWasserstein
from mercer.specs.sliced_wasserstein_barycenter import SlicedWassersteinBarycenter
from mercer.specs.sliced_wasserstein_flow import SlicedWassersteinFlow
from mercer.specs.sliced_wasserstein_matrix import SlicedWassersteinMatrix
from mercer.specs.sliced_wasserstein_test import SlicedWassersteinTest

JobSpec = Annotated[
    Gram
    | EnergyBasedSlicedWasserstein
    | GeneralisedSlicedWasserstein
    | MaxSlicedWasserstein
    | PrivateClassifier
    | PrivateDensity
    | PrivateDensityQuery
    | PrivateDistance
    | SlicedWasserstein
    | SlicedWassersteinBarycenter
    | SlicedWassersteinFlow
    | SlicedWassersteinMatrix
    | SlicedWassersteinTest,
    Field(discriminator="kind"),
]

_members = get_args(JobSpec)[0]
KINDS: dict[str, type[Spec]] = {spec.model_fields["kind"].default: spec for spec in (get_args(_members) or (_members,))}
SPEC: TypeAdapter[Spec] = TypeAdapter(JobSpec)
"""Parses any spec: `SPEC.validate_json(body)`."""

__all__ = [
    "KINDS",
    "SPEC",
    "Cost",
    "EnergyBasedSlicedWasserstein",
    "GeneralisedSlicedWasserstein",
    "Gram",
    "JobSpec",
    "MaxSlicedWasserstein",
    "PrivateClassifier",
    "PrivateDensity",
    "PrivateDensityQuery",
    "PrivateDistance",
    "SlicedWasserstein",
    "SlicedWassersteinBarycenter",
    "SlicedWassersteinFlow",
    "SlicedWassersteinMatrix",
    "SlicedWassersteinTest",
    "Spec",
]
