"""The keys: typed configuration and credentials. The only place that sees a secret or the environment."""

from blocks.amplitude import AmplitudeCredentials
from blocks.pipeline import AmplitudePipeline

__all__ = ["AmplitudeCredentials", "AmplitudePipeline"]
