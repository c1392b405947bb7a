"""Every wrong dial is told by its name as typed, before any work."""

import copy
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.pipeline.checks import check, check_judge, fall_back, why_not_online

BASE = configs.compose(["logger=csv", "cooccurrence=counts"])
CROSS = configs.compose(["logger=csv", "reward=cross_attention"])
STAGED = configs.compose(["logger=csv", "training=staged"])
WANDB = configs.compose([])
PLAIN_ONES = {
    option: configs.compose([f"search={option}"]).search for option in ("plain", "orm", "exhaustive", "popularity")
}
ALONE = configs.compose(["training=generator"]).training
CASES: list[tuple[str, Any, str]] = [
    ("analysis", "x", "analysis must be drift or null, got x"),
    ("seed", -1, "seed must be an integer >= 0, got -1"),
    ("seed", True, "seed must be an integer >= 0, got True"),
    ("seed", 2**32, "seed must be below 4294967296, got 4294967296"),
    ("split", "train", "split must be validation or test, got train"),
    ("build", "maybe", "build must be auto or never, got maybe"),
    ("dry_run", "maybe", "dry_run must be true or false, got maybe"),
    ("predictions", "a.csv", "predictions must name a .parquet or .jsonl file, got a.csv"),
    ("checkpoint", "nowhere", "checkpoint=nowhere is no folder"),
    ("ids.path", "nowhere.npz", "ids.path=nowhere.npz is no file"),
    ("evaluation.remove_seen", "drop", "evaluation.remove_seen must be true or false, got drop"),
    ("evaluation.allow", "nowhere.txt", "evaluation.allow=nowhere.txt is no file"),
    ("evaluation.deny", "items.csv", "evaluation.deny must name a .txt file, got items.csv"),
    ("cooccurrence.scale", -1, "cooccurrence.scale must be a number >= 0, got -1"),
    ("evaluation.precision", "fp8", "evaluation.precision must be 32-true or bf16-mixed, got fp8"),
    ("checkpoint_selection.expansion", 0.5, "checkpoint_selection.expansion must be a number >= 1, got 0.5"),
    ("datamodule.workers", -1, "datamodule.workers must be an integer >= 0, got -1"),
    ("sasrec.network.heads", 3, "sasrec.network.dim must be a multiple of sasrec.network.heads=3, got 128"),
    ("sasrec.training.epochs", 0.5, "sasrec.training.epochs must be an integer >= 1, got 0.5"),
    ("search.candidates", 5, "search.candidates must be an integer >= search.width=20, got 5"),
    ("generator.heads", 3, "generator.dim must be a multiple of generator.heads=3, got 128"),
    ("generator.history", 5, "generator.history must be datamodule.history=20, got 5"),
    ("generator.attention", "full", "generator.attention must be causal or bidirectional, got full"),
    ("generator.user_state", "no", "generator.user_state must be true or false, got no"),
    ("reward.temperature", 0, "reward.temperature must be a number > 0, got 0"),
    ("training.reward_loss_weight", 0, "training.reward_loss_weight must be a number > 0, got 0"),
    ("training.negative_count", 0, "training.negative_count must be an integer >= 1, got 0"),
    ("reward.dropout", "x", "reward.dropout must be a number in [0, 1), got x"),
    (
        "reward.prefix_table",
        "hashed:0",
        "reward.prefix_table must be full, none, own or hashed:N with N >= 1, got hashed:0",
    ),
    ("training.softmax", "some", "training.softmax must be allowed or all, got some"),
    (
        "training.negatives",
        "hards",
        "training.negatives must be sampled, hard, popularity, full_softmax or full_softmax_last, got hards",
    ),
    ("training.learning_rate", "abc", "training.learning_rate must be a number > 0, got abc"),
    ("training.patience", None, "training.patience must be an integer >= 1, got None"),
    ("training.ema_decay", 1, "training.ema_decay must be a number in (0, 1) or null, got 1"),
]


def changed(base: DictConfig, **dials: Any) -> DictConfig:
    cfg = copy.deepcopy(base)
    for name, value in dials.items():
        OmegaConf.update(cfg, name, value, merge=False)
    return cfg


@pytest.mark.parametrize(("name", "value", "message"), CASES, ids=[f"{name}={value}" for name, value, _ in CASES])
def test_a_wrong_dial_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        check(changed(BASE, **{name: value}))
    assert str(error.value) == message


@pytest.mark.parametrize("cfg", [BASE, CROSS, STAGED], ids=["defaults", "cross_attention", "staged"])
def test_what_ships_passes(cfg: DictConfig) -> None:
    check(cfg)
    check_judge(cfg)


def test_missing_values_are_all_named() -> None:
    with pytest.raises(ValueError, match=r"^data\.sequences must be given$"):
        check(configs.compose(["data=s3rec"]))
    with pytest.raises(ValueError, match=r"^data\.root, embeddings\.path must be given$"):
        check(configs.compose(["data=amazon_beauty", "embeddings=given"]))


def test_keys_that_a_part_does_not_take_are_named_before_it_is_made() -> None:
    cfg = CROSS.copy()
    OmegaConf.set_struct(cfg, False)
    cfg.reward.prefix = 3
    message = (
        r"CrossAttentionReward takes no reward\.prefix: the experiment or command that sets it is for another reward$"
    )
    with pytest.raises(ValueError, match=message):
        check(cfg)


def test_exact_negatives_need_dot() -> None:
    message = r"^training\.negatives=full_softmax needs a reward whose targets share negatives"
    for base, name in ((CROSS, "training.negatives"), (STAGED, "training.reward.negatives")):
        with pytest.raises(ValueError, match=message):
            check(changed(base, **{name: "full_softmax", "reward": CROSS.reward}))
    with pytest.raises(ValueError, match=r"^training\.epochs must be an integer >= 1, got 0$"):
        check(changed(STAGED, **{"training.epochs": 0}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mode", "ofline", "logger.mode must be offline or online, got ofline"),
        ("fallback", "online", "logger.fallback must be offline or null, got online"),
        ("artifacts", 1, "logger.artifacts must be true or false, got 1"),
    ],
)
def test_wandb_dials(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check(changed(WANDB, **{f"logger.{name}": value}))


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that W&B does not know."""
    import wandb

    monkeypatch.setattr(wandb, "login", lambda prompt: False)
    why_not_online.cache_clear()
    fall_back.cache_clear()


def test_online_without_a_key_is_refused(no_key: None) -> None:
    message = (
        "^logger.mode=online: W&B has no API key; run `wandb login`, or set WANDB_API_KEY, or use logger.mode=offline "
        r"\(logger.fallback=offline does so by itself\)$"
    )
    with pytest.raises(ValueError, match=message):
        check(changed(WANDB, **{"logger.mode": "online"}))
    check(changed(WANDB, **{"logger.mode": "offline"}))


def test_online_without_a_key_falls_back_where_asked_and_says_so_once(no_key, caplog):
    for _ in range(2):
        cfg = changed(WANDB, **{"logger.mode": "online", "logger.fallback": "offline"})
        check(cfg)
        assert cfg.logger.mode == "offline"
    assert [record.message for record in caplog.records] == [
        "logger.mode=online: W&B has no API key; runs are kept offline, `wandb sync DIR` uploads them"
    ]


def test_online_out_of_reach_is_refused_and_a_known_key_passes(no_key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def lost(prompt: bool) -> bool:
        raise wandb.errors.Error("no route\nmore")

    monkeypatch.setattr(wandb, "login", lost)
    with pytest.raises(ValueError, match=r"^logger.mode=online: W&B can't be reached \(no route\); run `wandb login`"):
        check(changed(WANDB, **{"logger.mode": "online"}))
    why_not_online.cache_clear()
    monkeypatch.setattr(wandb, "login", lambda prompt: True)
    cfg = changed(WANDB, **{"logger.mode": "online"})
    check(cfg)
    assert cfg.logger.mode == "online"
    why_not_online.cache_clear()


def test_ddp_is_refused_inside_a_multirun_alone() -> None:
    cfg = changed(BASE, **{"trainer.strategy": "ddp"})
    check(cfg)
    with pytest.raises(ValueError, match=r"trainer\.strategy=ddp inside a multirun or sweep would train"):
        check(cfg, multirun=True)
    check(changed(BASE, **{"trainer.strategy": "ddp_spawn"}), multirun=True)


def test_the_drift_analysis_needs_two_searches() -> None:
    drift = changed(BASE, analysis="drift")
    check(changed(drift, search=PLAIN_ONES["orm"]))
    check(changed(drift, **{"search.weight": [0, 0, 0.5, 0]}))
    with pytest.raises(ValueError, match=r"^analysis=drift needs search=guided or search=orm, got promise\.search\..*"):
        check(changed(drift, search=PLAIN_ONES["exhaustive"]))
    message = r"^analysis=drift compares guided search with a plain beam: it needs search\.weight > 0, got 0$"
    for dials in ({"search.weight": [0, 0, 0, 0]}, {"search": PLAIN_ONES["plain"], "training": ALONE}):
        with pytest.raises(ValueError, match=message):
            check(changed(drift, **dials))
    with pytest.raises(ValueError, match=r"^analysis=drift writes no predictions: ask for one of them at a time$"):
        check(changed(drift, predictions="p.parquet"))


def test_a_judge_is_needed_where_the_reward_has_a_weight() -> None:
    alone = changed(BASE, training=ALONE)
    for dials in ({"search": PLAIN_ONES["exhaustive"]}, {"search.weight": [0, 0, 0.5]}):
        with pytest.raises(ValueError, match="needs a reward model and training=generator trains none"):
            check_judge(changed(alone, **dials))
    for fine in ({"search.weight": 0}, {"search": PLAIN_ONES["popularity"]}, {"checkpoint": "x"}):
        check_judge(changed(alone, **fine))
