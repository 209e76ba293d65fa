"""Kernel functions: `from mercer import kernels as k; 0.7 * k.Matern(nu=2.5) + k.White(0.01)`."""

from typing import Annotated, get_args

from pydantic import Field

from mercer.kernels.additive_chi2 import AdditiveChi2
from mercer.kernels.arc_cosine import ArcCosine
from mercer.kernels.chi2 import Chi2
from mercer.kernels.constant import Constant
from mercer.kernels.cosine import Cosine
from mercer.kernels.exponential import Exponential
from mercer.kernels.expression import Family, KernelFunction, Power, Product, Scale, Sum
from mercer.kernels.gaussian import Gaussian
from mercer.kernels.laplacian_l1 import LaplacianL1
from mercer.kernels.linear import Linear
from mercer.kernels.matern import Matern
from mercer.kernels.periodic import Periodic
from mercer.kernels.polynomial import Polynomial
from mercer.kernels.rational_quadratic import RationalQuadratic
from mercer.kernels.sigmoid import Sigmoid
from mercer.kernels.white import White

Kernel = Annotated[
    Gaussian
    | LaplacianL1
    | Exponential
    | Matern
    | RationalQuadratic
    | Periodic
    | Cosine
    | Linear
    | Polynomial
    | Sigmoid
    | ArcCosine
    | Chi2
    | AdditiveChi2
    | White
    | Constant
    | Sum
    | Product
    | Scale
    | Power,
    Field(discriminator="family"),
]
"""Any kernel function on the wire; the registry of families."""

for composition in (Sum, Product, Scale, Power):
    composition.model_rebuild(_types_namespace={"Kernel": Kernel})

FUNCTIONS: dict[str, type[KernelFunction]] = {
    function.model_fields["family"].default: function for function in get_args(get_args(Kernel)[0])
}
FAMILIES: dict[str, type[Family]] = {
    name: function for name, function in FUNCTIONS.items() if issubclass(function, Family)
}

__all__ = [
    "FAMILIES",
    "FUNCTIONS",
    "AdditiveChi2",
    "ArcCosine",
    "Chi2",
    "Constant",
    "Cosine",
    "Exponential",
    "Family",
    "Gaussian",
    "Kernel",
    "KernelFunction",
    "LaplacianL1",
    "Linear",
    "Matern",
    "Periodic",
    "Polynomial",
    "Power",
    "Product",
    "RationalQuadratic",
    "Scale",
    "Sigmoid",
    "Sum",
    "White",
]
