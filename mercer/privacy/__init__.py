"""What private releases cost: how noise is calibrated, how costs add up, and when a budget is spent."""

from mercer.privacy.accounting import Budget, Loss, sigma
from mercer.privacy.gaussian import delta, epsilon, mu_max

__all__ = ["Budget", "Loss", "delta", "epsilon", "mu_max", "sigma"]
