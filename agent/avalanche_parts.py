"""The classes that Avalanche lends to the learner, imported without its known warnings.

Importing this costs 6 to 8 seconds and a gigabyte (Avalanche pulls in every one of its optional parts), so only
`agent.replay` and `agent.ewc` do it, and only the training process imports those.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # jaxopt says that it is no longer maintained, qpsolvers that it has no solver: neither is used here.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.filterwarnings("ignore", "no QP solver found", UserWarning)
    from avalanche.benchmarks.utils import AvalancheDataset
    from avalanche.training.plugins import EWCPlugin
    from avalanche.training.storage_policy import ReservoirSamplingBuffer
    from avalanche.training.utils import ParamData

__all__ = ["AvalancheDataset", "EWCPlugin", "ParamData", "ReservoirSamplingBuffer"]
