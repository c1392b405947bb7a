"""Process reward models: how well does a partial path of any depth fit a user's history?"""

from promise.models.reward.cross_attention import CrossAttentionReward as CrossAttentionReward
from promise.models.reward.dot import DotReward as DotReward
from promise.models.reward.model import Drawn as Drawn
from promise.models.reward.model import RewardCache as RewardCache
from promise.models.reward.model import RewardModel as RewardModel
