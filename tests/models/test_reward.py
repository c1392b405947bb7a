"""The reward model: one score whichever way it is asked, no look ahead, kept vectors, errors."""

import pytest
import torch
from torch.nn import functional as F

from promise.models import paths as path_tables
from promise.models import reward as rewards
from promise.models.reward import CrossAttentionReward, DotReward
from promise.models.users import EncoderOutput

KINDS = ("dot", "cross_attention")


@pytest.fixture
def users() -> EncoderOutput:
    """States of five users with 7, 3, 1, 5 and 7 items."""
    states = torch.randn(5, 7, 16, generator=torch.Generator().manual_seed(4))
    lengths = torch.tensor([7, 3, 1, 5, 7])
    mask = (torch.arange(7) < lengths[:, None])[:, None, None, :]
    items = torch.randint(30, (5, 7), generator=torch.Generator().manual_seed(5))
    return EncoderOutput(states, lengths, states[torch.arange(5), lengths - 1], mask, items)


def some_nodes(trie, depth: int, count: int = 6) -> torch.Tensor:
    """(5, count) nodes of a depth."""
    return torch.randint(trie.nodes[depth], (5, count), generator=torch.Generator().manual_seed(depth))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", ["full", "hashed:5", "none"])
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
    reward = make_reward("dot", overlap=False, neighbours=0, text_neighbours=0)
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


def test_the_temperature_starts_as_configured():
    torch.manual_seed(0)
    reward = DotReward(4, "none", 12.0, 0.0, False, user_dim=4, prefixes=[torch.tensor([[0], [1]])], level_sizes=(2,))
    assert torch.allclose(reward.query(torch.randn(3, 4)).norm(dim=-1), torch.full((3, 1), 12.0))


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
def test_candidates_do_not_see_each_other(kind, make_reward, users, catalogue):
    reward = make_reward(kind)
    context, nodes = reward.start(users), some_nodes(catalogue.trie, 3)
    together = reward.score(context, 3, nodes)
    alone = [reward.score(context, 3, nodes[:, c : c + 1]) for c in range(nodes.shape[1])]
    assert torch.allclose(together, torch.cat(alone, 1), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_catalogue_is_scored_in_parts(kind, make_reward, users, monkeypatch):
    codes = torch.cartesian_prod(torch.arange(5), torch.arange(100))
    reward = make_reward(kind, prefixes=[codes[::100, :1], codes], level_sizes=(5, 100))
    context = reward.start(users)
    nodes = torch.randint(500, (5, 70), generator=torch.Generator().manual_seed(0))
    every, some = reward.score_all(context, 2), reward.score(context, 2, nodes)
    assert every.shape == (5, 500)
    assert torch.allclose(every.gather(1, nodes), some, atol=1e-5)
    monkeypatch.setattr(path_tables, "KEPT_BYTES", 0)
    reward.eval()  # forgets what is kept
    for paths in (1, 64, 150, 10_000):
        monkeypatch.setattr(path_tables, "NODES_AT_ONCE", paths)
        monkeypatch.setattr(rewards, "PATHS_AT_ONCE", paths)
        assert torch.allclose(reward.score(context, 2, nodes), some, atol=1e-5)
        assert torch.allclose(reward.score_all(context, 2), every, atol=1e-5)
    assert not reward.paths.kept


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [True, False])
def test_users_can_be_scored_apart(kind, padded, make_reward, users):
    reward = make_reward(kind)
    users = users if padded else users._replace(mask=None)
    context, nodes = reward.start(users), torch.randint(30, (5, 8))
    every = reward.score(context, 3, nodes)
    for some in (torch.tensor([4, 0, 0]), slice(1, 3), torch.tensor([], dtype=torch.int64)):
        assert torch.allclose(reward.score(context.select_users(some), 3, nodes[some]), every[some], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", ["full", "hashed:5", "none"])
def test_new_items_leave_old_rewards_as_they_are(kind, table, make_reward, users, catalogue):
    known = {tuple(codes) for codes in catalogue.codes.tolist()}
    new = torch.cartesian_prod(*map(torch.arange, catalogue.sizes)).tolist()
    grown = catalogue.trie.appended([codes for codes in new if tuple(codes) not in known])
    depths = (1, 2, 3)
    reward = make_reward(kind, prefix_table=table)
    reward.terms.terms.overlap.share.zero_()  # the share of its items that a user has of a prefix changes as it must
    before = [reward.score_all(reward.start(users), depth) for depth in depths]
    moved = [catalogue.trie.moved(depth, grown) for depth in depths]
    nodes = torch.stack([grown.item_nodes(depth) for depth in depths], 1)
    reward.extend([grown.prefixes(depth) for depth in depths], moved, item_nodes=nodes)
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


def test_a_checkpoint_holds_weights_and_no_table_of_the_catalogue(make_reward):
    for kind in KINDS:
        reward = make_reward(kind, prefix_table="none")
        assert set(reward.state_dict()) == {name for name, _ in reward.named_parameters()}
        assert not any(weight.ndim and len(weight) == 30 for weight in reward.state_dict().values())


@pytest.mark.parametrize("user_dim, dim, heads", [(64, 16, 1), (256, 64, 2), (384, 96, 3), (400, 100, 2), (2, 1, 1)])
def test_the_inner_width_follows_the_generators(user_dim, dim, heads, catalogue):
    reward = CrossAttentionReward(
        None, None, 1, "none", 0.0, False, user_dim=user_dim, prefixes=catalogue.prefixes, level_sizes=catalogue.sizes
    )
    assert reward.head[1].weight.shape == (dim, dim)
    assert reward.reward_blocks[0].attention.heads == heads


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


def test_wrong_settings_are_refused(make_reward):
    with pytest.raises(ValueError, match=r"reward.content=true needs item embeddings, got none"):
        make_reward("dot", content=True)
    for kind in KINDS:
        with pytest.raises(ValueError, match=r"reward.prefix_table must be full, none or hashed:N with N >= 1, got h"):
            make_reward(kind, prefix_table="h")
    for temperature in (0, -1.0):
        with pytest.raises(ValueError, match=rf"reward.temperature must be > 0, got {temperature}"):
            make_reward("dot", temperature=temperature)
    with pytest.raises(ValueError, match=r"reward.blocks must be >= 1, got 0"):
        make_reward("cross_attention", blocks=0)
    with pytest.raises(ValueError, match="dim must be a multiple of heads, got dim=8 and heads=3"):
        make_reward("cross_attention", heads=3)
