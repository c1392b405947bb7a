"""The generator: who sees what, cached = uncached, windows = prefixes, padding, long histories, errors."""

import pytest
import torch

from promise.models.users import newest_items

PATHS = 4  # paths scored per user


@pytest.fixture
def paths(catalogue) -> torch.Tensor:
    """(5, 4, 3) codes of four items for each of five users."""
    items = torch.randint(len(catalogue.codes), (5, PATHS), generator=torch.Generator().manual_seed(2))
    return catalogue.codes[items]


def last(lengths: torch.Tensor) -> torch.Tensor:
    """The last real item as the position that every path may look at (B, PATHS)."""
    return (lengths - 1).unsqueeze(1).expand(-1, PATHS)


def same(one, other, tolerance: float = 1e-5) -> bool:
    return all(torch.allclose(a, b, atol=tolerance) for a, b in zip(one, other, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_a_user_gets_the_same_alone_as_in_a_batch(kind, make_generator, histories, paths):
    generator = make_generator(attention=kind)
    history, lengths = histories
    together = generator.teacher_forced(generator.encode(history, lengths), last(lengths), paths)
    for row, length in enumerate(lengths.tolist()):
        users = generator.encode(history[row : row + 1, :length], lengths[row : row + 1])
        alone = generator.teacher_forced(users, last(lengths)[row : row + 1], paths[row : row + 1])
        assert same(alone, [level[row : row + 1] for level in together])


@torch.no_grad()
def test_one_causal_pass_is_every_prefix_on_its_own(make_generator, histories, catalogue):
    generator = make_generator()
    history = histories[0]
    paths = catalogue.codes[history]  # any path will do for each of the 7 positions
    whole = generator.teacher_forced(
        generator.encode(history, torch.full((5,), 7)), torch.arange(7).expand(5, -1), paths
    )
    for t in range(7):
        lengths = torch.full((5,), t + 1)
        users = generator.encode(history[:, : t + 1], lengths)
        prefix = generator.teacher_forced(users, (lengths - 1).unsqueeze(1), paths[:, t : t + 1])
        assert same(prefix, [level[:, t : t + 1] for level in whole])


@torch.no_grad()
def test_no_position_sees_a_later_item(make_generator, histories, catalogue):
    generator = make_generator()
    history, paths = histories[0], catalogue.codes[histories[0]]
    lengths, positions = torch.full((5,), 7), torch.arange(7).expand(5, -1)
    before = generator.teacher_forced(generator.encode(history, lengths), positions, paths)
    for t in range(1, 7):
        changed = history.clone()
        changed[:, t:] = (changed[:, t:] + 11) % len(catalogue.codes)
        after = generator.teacher_forced(generator.encode(changed, lengths), positions, paths)
        assert same([level[:, :t] for level in before], [level[:, :t] for level in after])
        assert not any(torch.allclose(a[:, t:], b[:, t:], atol=1e-2) for a, b in zip(before, after, strict=True))


@torch.no_grad()
def test_no_code_sees_itself_or_a_later_one(make_generator, histories, paths):
    generator = make_generator()
    history, lengths = histories
    users = generator.encode(history, lengths)
    before = generator.teacher_forced(users, last(lengths), paths)
    for level in range(3):
        changed = paths.clone()
        changed[..., level:] = (changed[..., level:] + 1) % torch.tensor([4, 5, 3])[level:]
        after = generator.teacher_forced(users, last(lengths), changed)
        assert same(before[: level + 1], after[: level + 1])
        assert not any(
            torch.allclose(a, b, atol=1e-2) for a, b in zip(before[level + 1 :], after[level + 1 :], strict=True)
        )


@torch.no_grad()
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_code_by_code_with_a_cache_is_teacher_forced(kind, make_generator, histories, paths):
    generator = make_generator(attention=kind)
    history, lengths = histories
    users = generator.encode(history, lengths)
    expected = generator.teacher_forced(users, last(lengths), paths)
    cache, parents, codes = generator.start(users), None, None
    for level in range(3):
        logits, cache = generator.next_code(cache, parents, codes)
        if level == 0:
            assert torch.allclose(logits.expand(-1, PATHS, -1), expected[0], atol=1e-5)
            parents, order = torch.zeros(5, PATHS, dtype=torch.int64), torch.arange(PATHS)
        else:
            assert torch.allclose(logits, expected[level][:, order], atol=1e-5)
            parents = torch.arange(PATHS - 1, -1, -1).expand(5, -1)  # beams change places, and so must their keys
            order = order.flip(0)
        codes = paths[:, order, level]


@torch.no_grad()
def test_needed_beams_get_the_logits_they_get_among_all(make_generator, histories, paths):
    generator = make_generator()
    users = generator.encode(*histories)
    random = torch.Generator().manual_seed(1)
    marks = [torch.rand(5, PATHS, generator=random) < 0.6 for _ in range(2)]
    marks[0][2] = False  # a user without any
    marks[1] &= marks[0].flip(1)  # the parent of a needed beam was needed
    answers = []
    for needed in ([None, None], marks, [marks[0], torch.zeros_like(marks[0])]):
        logits, cache = generator.next_code(generator.start(users), None, None)
        parents = torch.zeros(5, PATHS, dtype=torch.int64)
        found = []
        for level in (1, 2):
            codes = paths[:, :, level - 1] if level == 1 else paths.flip(1)[:, :, level - 1]
            logits, cache = generator.next_code(cache, parents, codes, needed[level - 1])
            parents = torch.arange(PATHS - 1, -1, -1).expand(5, -1)
            found.append(logits)
        answers.append(found)
    everything, some, none = answers
    for level, mark in enumerate(marks):
        assert torch.allclose(some[level][mark], everything[level][mark], atol=1e-5)
        assert not some[level][~mark].any()
    assert not none[1].any()


@torch.no_grad()
def test_of_a_long_history_the_newest_items_count(make_generator, catalogue, paths):
    generator = make_generator()
    random = torch.Generator().manual_seed(5)
    history, lengths = torch.randint(len(catalogue.codes), (5, 19), generator=random), torch.tensor([19, 8, 7, 3, 12])
    users = generator.encode(history, lengths)
    assert users.states.shape == (5, 7, 16)
    assert users.lengths.tolist() == [7, 7, 7, 3, 7]
    for row, length in enumerate(lengths.tolist()):
        newest = history[row, max(0, length - 7) : length]
        alone = generator.encode(newest.unsqueeze(0), torch.tensor([len(newest)]))
        assert torch.allclose(alone.last, users.last[row : row + 1], atol=1e-5)
        assert torch.allclose(alone.states[0], users.states[row, : len(newest)], atol=1e-5)


def test_newest_items_by_hand():
    history = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0], [8, 9, 10, 11, 0]])
    cut, lengths = newest_items(history, torch.tensor([5, 2, 4]), 3)
    assert lengths.tolist() == [3, 2, 3]
    assert [row[:n] for row, n in zip(cut.tolist(), lengths.tolist(), strict=True)] == [[3, 4, 5], [6, 7], [9, 10, 11]]
    assert newest_items(history, torch.tensor([5, 2, 4]), 5)[0] is history


def test_an_items_token_is_the_sum_of_its_parts(make_generator, catalogue):
    content = torch.randn(30, 6)
    generator = make_generator(content=True, content_vectors=content)
    items = torch.tensor([[4, 29], [0, 7]])
    for row in range(2):
        for column in range(2):
            item = int(items[row, column])
            token = generator.item_vectors.weight[item] + content[item] @ generator.content_projection.weight.T
            for code, start in zip(catalogue.codes[item].tolist(), (0, 4, 9), strict=True):
                token = token + generator.code_vectors.weight[start + code]
            assert torch.allclose(generator.item_tokens(items)[row, column], token, atol=1e-5)
    bare = make_generator(item_vectors=False)
    assert bare.item_vectors is None and bare.content_projection is None
    assert not torch.allclose(bare.item_tokens(items), generator.item_tokens(items))


@torch.no_grad()
def test_bos_may_be_the_same_for_all(make_generator, histories):
    """The first code then knows a user by cross-attention alone; with the state BOS differs by user."""
    users = make_generator().encode(*histories)
    alike = make_generator(user_state=False)
    assert torch.equal(alike.begin(users.last), alike.begin_vector.expand(5, -1)) and alike.begin_projection is None
    generator = make_generator()
    expected = generator.begin_vector + users.last @ generator.begin_projection.weight.T
    assert torch.allclose(generator.begin(users.last), expected, atol=1e-5)
    root = torch.zeros(5, 1, dtype=torch.int64)
    users, path = alike.encode(*histories), torch.zeros(5, 1, 3, dtype=torch.int64)
    logits, _ = alike.next_code(alike.start(users), root, root)
    forced = alike.teacher_forced(users, users.lengths[:, None] - 1, path)
    assert torch.allclose(logits, forced[0], atol=1e-5) and logits.std(0).min() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"item_vectors": False}, {"content": True}])
def test_new_items_join_histories_and_change_nothing_else(changes, make_generator, histories, catalogue):
    content = torch.randn(30, 4, generator=torch.Generator().manual_seed(3))
    generator = make_generator(content_vectors=content, **changes)
    before = generator.encode(*histories).states
    codes, vectors = torch.tensor([[0, 4, 2], [3, 0, 1]]), torch.randn(2, 4)
    generator.append_items(codes, vectors)
    assert torch.equal(generator.encode(*histories).states, before)
    tokens = generator.item_tokens(torch.tensor([30, 31]))
    expected = generator.code_vectors(codes + torch.tensor([0, 4, 9])).sum(1)
    if "content" in changes:
        expected = expected + generator.content_projection(vectors)
    assert torch.allclose(tokens, expected, atol=1e-5)
    fresh = make_generator(
        codes=torch.cat((catalogue.codes, codes)), content_vectors=torch.cat((content, vectors)), **changes
    )
    fresh.load_state_dict(generator.state_dict())
    assert torch.equal(fresh.item_tokens(torch.arange(32)), generator.item_tokens(torch.arange(32)))


@torch.no_grad()
@pytest.mark.parametrize("item", [-1, 10_000])
def test_histories_that_would_give_garbage_are_refused_outside_training(make_generator, catalogue, item):
    generator = make_generator()
    history, known = torch.tensor([[1, 2], [3, item]]), len(catalogue.codes) - 1
    with pytest.raises(ValueError, match=rf"^a history names item {item}, the generator knows 0 \.\. {known}$"):
        generator.encode(history, torch.tensor([2, 2]))
    with pytest.raises(ValueError, match=r"^a history holds no item$"):
        generator.encode(history.clamp(0, 3), torch.tensor([2, 0]))
