"""Co-occurrence counts as an optional package that wraps any generator and any reward model."""

from promise.models.cooccurrence.generator import CooccurrenceGenerator as CooccurrenceGenerator
from promise.models.cooccurrence.reward import CooccurrenceReward as CooccurrenceReward
from promise.models.cooccurrence.wrapping import set_scale as set_scale
from promise.models.cooccurrence.wrapping import wrap as wrap
