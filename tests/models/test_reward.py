"""The reward model: one score whichever way it is asked, no look ahead, kept vectors, errors."""

import pytest
import torch
from torch.nn import functional as F

from promise.models import paths as path_tables
from promise.models.full_softmax import Additions
from promise.models.reward import DotReward, RewardModel, cross_attention
from promise.models.users import EncoderOutput
from tests.models.conftest import Preference

KINDS = ("dot", "cross_attention")


@pytest.fixture
def users() -> EncoderOutput:
    """States of five users with 7, 3, 1, 5 and 7 items."""
    states = torch.randn(5, 7, 16, generator=torch.Generator().manual_seed(4))
    lengths = torch.tensor([7, 3, 1, 5, 7])
    mask = (torch.arange(7) < lengths[:, None])[:, None, None, :]
    return EncoderOutput(states, lengths, states[torch.arange(5), lengths - 1], mask)


@torch.no_grad()
def test_a_small_reward_of_somebody_elses_has_all_the_rest_by_default(users, catalogue):
    torch.manual_seed(0)
    reward = Preference(user_dim=16, prefixes=catalogue.prefixes)
    cache, positions = reward.start(users), torch.tensor([[0, 2, 6], [0, 1, 2], [0, 0, 0], [2, 3, 4], [1, 5, 6]])
    assert reward.flops.start([3, 4]) == reward.flops.score([3, 4], [2, 5]) == 0  # nothing is known of its cost
    for depth, size in enumerate(reward.sizes, start=1):
        every = reward.score_all(cache, depth)
        nodes = some_nodes(catalogue.trie, depth, 3)
        assert torch.allclose(every.gather(1, nodes), reward.score(cache, depth, nodes), atol=1e-5)
        some = reward.score(cache.select_users(torch.tensor([4, 1])), depth, nodes[[4, 1]])
        assert torch.allclose(some, every.gather(1, nodes)[[4, 1]], atol=1e-5)
        for negatives in (torch.arange(size), torch.randint(size, (5, 3, 4))):
            of_nodes, of_negatives = reward.contrast(users, positions, depth, nodes, negatives)
            for row in range(5):
                for place, position in enumerate(positions[row].tolist()):
                    states = users.states[row : row + 1, : position + 1]
                    one = EncoderOutput(states, torch.tensor([position + 1]), states[:, -1], None)
                    alone = reward.score_all(reward.start(one), depth)[0]
                    own = negatives if negatives.ndim == 1 else negatives[row, place]
                    assert torch.allclose(of_nodes[row, place], alone[nodes[row, place]], atol=1e-5)
                    assert torch.allclose(of_negatives[row, place], alone[own], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("added", [False, True])
def test_the_default_loss_over_all_is_the_faster_one(added, users, make_reward):
    reward, real = make_reward("dot"), torch.rand(5, 3) < 0.7
    positions, positives = torch.randint(7, (5, 3)), torch.randint(30, (5, 3))
    owners = real.nonzero()[:, 0]
    terms = Additions(torch.randint(30, (5, 4)), owners, torch.randn(len(owners), 4)) if added else None
    losses = [
        kind.full_softmax_loss(reward, users, positions, 3, positives, real, terms) for kind in (DotReward, RewardModel)
    ]
    assert torch.allclose(*losses, rtol=1e-5)


def test_a_reward_that_takes_no_new_items_says_so(catalogue):
    with pytest.raises(NotImplementedError, match="Preference takes no new items"):
        Preference(user_dim=2, prefixes=catalogue.prefixes).extend([], [])


def some_nodes(trie, depth: int, count: int = 6) -> torch.Tensor:
    """(5, count) nodes of a depth."""
    return torch.randint(trie.nodes[depth], (5, count), generator=torch.Generator().manual_seed(depth))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", ["full", "hashed:5", "none", "own"])
def test_search_and_training_give_a_path_the_same_score(kind, table, make_reward, users, catalogue):
    reward = make_reward(kind, prefix_table=table)
    context = reward.start(users)
    last = (users.lengths - 1).unsqueeze(1)
    for depth in (1, 2, 3):
        every = reward.score_all(context, depth)
        assert every.shape == (5, catalogue.trie.nodes[depth])
        nodes = some_nodes(catalogue.trie, depth)
        scores = reward.score(context, depth, nodes)
        assert torch.allclose(scores, every.gather(1, nodes), atol=1e-5)
        negatives = torch.arange(len(every[0])) if reward.shares_negatives else nodes.unsqueeze(1)
        positive, others = reward.contrast(users, last, depth, nodes[:, :1], negatives)
        assert torch.allclose(positive[:, 0], scores[:, 0], atol=1e-5)
        assert torch.allclose(others[:, 0], every if reward.shares_negatives else scores, atol=1e-5)


@torch.no_grad()
def test_the_dot_reward_by_hand(make_reward, users, catalogue):
    reward = make_reward("dot")
    context = reward.start(users)
    for depth in (1, 2, 3):
        for node, codes in enumerate(catalogue.prefixes[depth - 1].tolist()):
            vector = reward.paths.own_vectors[depth - 1].weight[node].clone()
            for level, code in enumerate(codes):
                vector += reward.paths.code_vectors[level].weight[code]
            query = reward.queries[depth - 1](users.last)
            expected = F.cosine_similarity(query, vector.unsqueeze(0)) * reward.log_temperatures[depth - 1].exp()
            nodes = torch.full((5, 1), node)
            assert torch.allclose(reward.score(context, depth, nodes)[:, 0], expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_no_target_sees_a_later_state(kind, make_reward, users, catalogue):
    reward = make_reward(kind)
    positions = torch.arange(7).expand(5, -1)
    for depth in (1, 3):
        positives = some_nodes(catalogue.trie, depth, 7)
        size = catalogue.trie.nodes[depth]
        negatives = torch.arange(size) if reward.shares_negatives else torch.randint(size, (5, 7, 4))
        before = reward.contrast(users, positions, depth, positives, negatives)
        for t in range(1, 7):
            changed = users.states.clone()
            changed[:, t:] += 1
            after = reward.contrast(users._replace(states=changed), positions, depth, positives, negatives)
            for one, other in zip(before, after, strict=True):
                assert torch.allclose(one[:, :t], other[:, :t], atol=1e-5)
                assert not torch.allclose(one[:, t:], other[:, t:], atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_padding_says_nothing(kind, make_reward, users, catalogue):
    reward = make_reward(kind)
    changed = users.states + 3 * (torch.arange(7) >= users.lengths[:, None]).unsqueeze(-1)
    nodes = some_nodes(catalogue.trie, 2)
    before, after = (reward.score(reward.start(u), 2, nodes) for u in (users, users._replace(states=changed)))
    assert torch.allclose(before, after, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_catalogue_is_scored_in_parts(kind, make_reward, users, monkeypatch):
    codes = torch.cartesian_prod(torch.arange(5), torch.arange(12))
    reward = make_reward(kind, prefixes=[codes[::12, :1], codes], level_sizes=(5, 12))
    context = reward.start(users)
    nodes = torch.randint(60, (5, 25), generator=torch.Generator().manual_seed(0))
    every, some = reward.score_all(context, 2), reward.score(context, 2, nodes)
    assert every.shape == (5, 60)
    assert torch.allclose(every.gather(1, nodes), some, atol=1e-5)
    monkeypatch.setattr(path_tables, "KEPT_BYTES", 0)
    reward.eval()  # forgets what is kept
    for paths in (1, 16, 35, 10_000):
        monkeypatch.setattr(path_tables, "NODES_AT_ONCE", paths)
        monkeypatch.setattr(cross_attention, "PATHS_AT_ONCE", paths)
        assert torch.allclose(reward.score(context, 2, nodes), some, atol=1e-5)
        assert torch.allclose(reward.score_all(context, 2), every, atol=1e-5)
    assert not reward.paths.kept


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [True, False])
def test_users_and_candidates_can_be_scored_apart(kind, padded, make_reward, users):
    reward = make_reward(kind)
    users = users if padded else users._replace(mask=None)
    context, nodes = reward.start(users), torch.randint(30, (5, 8))
    every = reward.score(context, 3, nodes)
    for some in (torch.tensor([4, 0, 0]), slice(1, 3), torch.tensor([], dtype=torch.int64)):
        assert torch.allclose(reward.score(context.select_users(some), 3, nodes[some]), every[some], atol=1e-5)
    alone = [reward.score(context, 3, column) for column in nodes.split(1, 1)]
    assert torch.allclose(torch.cat(alone, 1), every, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", ["full", "hashed:5", "none"])
def test_new_items_leave_old_rewards_as_they_are(kind, table, make_reward, users, catalogue):
    known = {tuple(codes) for codes in catalogue.codes.tolist()}
    new = torch.cartesian_prod(*map(torch.arange, catalogue.sizes)).tolist()
    grown = catalogue.trie.appended([codes for codes in new if tuple(codes) not in known])
    depths = (1, 2, 3)
    reward = make_reward(kind, prefix_table=table)
    before = [reward.score_all(reward.start(users), depth) for depth in depths]
    moved = [catalogue.trie.moved(depth, grown) for depth in depths]
    reward.extend([grown.prefixes(depth) for depth in depths], moved)
    for depth, rewards_before, places in zip(depths, before, moved, strict=True):
        after = reward.score_all(reward.start(users), depth)
        assert after.shape == (5, grown.nodes[depth])
        assert torch.allclose(after[:, places], rewards_before, atol=1e-6)


@torch.no_grad()
def test_kept_vectors_are_forgotten_when_training_goes_on(make_reward, users):
    for kind in KINDS:
        reward = make_reward(kind)
        kept = reward.paths.keep(2)
        assert reward.paths.keep(2) is kept
        before = reward.score_all(reward.start(users), 2)
        reward.train()
        for weight in reward.paths.parameters():
            weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(9))
        assert not torch.allclose(torch.cat(list(reward.paths.all(2))), kept, atol=1e-2)
        assert not reward.paths.kept
        reward.eval()
        assert not torch.allclose(reward.paths.keep(2), kept, atol=1e-2)
        assert not torch.allclose(reward.score_all(reward.start(users), 2), before, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_kept_vectors_are_forgotten_when_weights_are_loaded_or_moved(kind, make_reward, users):
    one, other = make_reward(kind, seed=0), make_reward(kind, seed=1)
    expected = other.score_all(other.start(users), 3)
    assert not torch.allclose(one.score_all(one.start(users), 3), expected, atol=1e-2)
    one.load_state_dict(other.state_dict())
    assert torch.allclose(one.score_all(one.start(users), 3), expected)
    one.double()
    assert one.paths.keep(3).dtype == torch.float64


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_content_counts_at_every_depth_and_is_not_kept_in_the_state(kind, make_reward, users, catalogue):
    content = [torch.randn(len(prefixes), 5) for prefixes in catalogue.prefixes]
    reward = make_reward(kind, content=True, prefix_content=content)
    without = make_reward(kind)
    without.load_state_dict(reward.state_dict(), strict=False)
    for depth in (1, 2, 3):
        one, other = (r.score_all(r.start(users), depth) for r in (reward, without))
        assert not torch.allclose(one, other, atol=1e-2)
    reward.paths.projection.weight.zero_()
    reward.eval()
    assert torch.allclose(reward.score_all(reward.start(users), 3), other, atol=1e-5)
    assert not any("content" in name for name in reward.state_dict())
