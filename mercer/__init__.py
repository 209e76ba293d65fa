"""Kernel computation as a service: submit a job, get the matrix.

import mercer
from mercer import kernels as k

with mercer.Client() as client:
    K = client.run(mercer.Gram(kernel=k.Gaussian(lengthscale=2.0), x=X))
"""

from mercer import errors, kernels
from mercer.async_client import AsyncClient
from mercer.batch_handles import AsyncBatchHandle, BatchHandle
from mercer.batches import Batch, BatchLine
from mercer.client import Client
from mercer.errors import MercerError
from mercer.estimates import SlicedWassersteinEstimate
from mercer.events import Event
from mercer.handles import AsyncJobHandle, Completed, JobHandle, as_completed
from mercer.jobs import Dataset, Job, Priority, State
from mercer.points import DatasetReference, Rows
from mercer.privacy.classifier import ClassifierAnswer, ClassifierRelease
from mercer.privacy.density import DensityAnswer, DensityRelease
from mercer.privacy.distances.release import DistanceAnswer, DistanceRelease
from mercer.privacy.releases import load_release
from mercer.privacy.terms import Box
from mercer.private import Plan, PrivateDataset
from mercer.specs import (
    EnergyBasedSlicedWasserstein,
    GeneralisedSlicedWasserstein,
    Gram,
    MaxSlicedWasserstein,
    PrivateClassifier,
    PrivateDensity,
    PrivateDensityQuery,
    PrivateDistance,
    SlicedWasserstein,
    SlicedWassersteinBarycenter,
    SlicedWassersteinFlow,
    SlicedWassersteinMatrix,
    SlicedWassersteinTest,
    Spec,
)
from mercer.webhooks import Delivery, Webhook, WebhookEvent

__all__ = [
    "AsyncBatchHandle",
    "AsyncClient",
    "AsyncJobHandle",
    "Batch",
    "BatchHandle",
    "BatchLine",
    "Box",
    "ClassifierAnswer",
    "ClassifierRelease",
    "Client",
    "Completed",
    "Dataset",
    "DatasetReference",
    "DensityAnswer",
    "DensityRelease",
    "DistanceAnswer",
    "DistanceRelease",
    "Delivery",
    "EnergyBasedSlicedWasserstein",
    "Event",
    "GeneralisedSlicedWasserstein",
    "Gram",
    "Job",
    "JobHandle",
    "MaxSlicedWasserstein",
    "MercerError",
    "Plan",
    "PrivateDataset",
    "PrivateClassifier",
    "PrivateDensity",
    "PrivateDensityQuery",
    "PrivateDistance",
    "Priority",
    "Rows",
    "SlicedWasserstein",
    "SlicedWassersteinBarycenter",
    "SlicedWassersteinEstimate",
    "SlicedWassersteinFlow",
    "SlicedWassersteinMatrix",
    "SlicedWassersteinTest",
    "Spec",
    "State",
    "Webhook",
    "WebhookEvent",
    "as_completed",
    "errors",
    "kernels",
    "load_release",
]
