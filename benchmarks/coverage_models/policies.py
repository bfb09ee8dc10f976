"""stable-baselines3: the networks inside of its policies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _spaces(image: bool, discrete: bool) -> tuple[Any, Any]:
    import gymnasium
    import numpy

    shape = (3, 36, 36) if image else (4,)
    low, high, kind = (0, 255, numpy.uint8) if image else (-1.0, 1.0, numpy.float32)
    seen: Any = gymnasium.spaces.Box(low, high, shape, kind)
    done: Any = gymnasium.spaces.Discrete(3) if discrete else gymnasium.spaces.Box(-1.0, 1.0, (2,))
    return seen, done


def _rate(progress: float) -> float:
    return 1e-3


def _q(name: str, package: str, kind: str, image: bool) -> Built:
    import importlib

    policies = importlib.import_module(package)
    policy = getattr(policies, kind)(*_spaces(image, True), _rate)
    net = policy.quantile_net if hasattr(policy, "quantile_net") else policy.q_net
    if image:
        return wrapped(net.q_net, lambda m, x: m(x)), (torch.randn(2, 512),)
    return net, (torch.randn(2, 4),)


def _actor_critic(name: str, image: bool, discrete: bool, settings: dict[str, Any]) -> Built:
    from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy

    kind = ActorCriticCnnPolicy if image else ActorCriticPolicy
    policy = kind(*_spaces(image, discrete), _rate, **settings)

    def actor(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        features = m.features_extractor(x)
        pi, vf = m.mlp_extractor(features)
        return m.action_net(pi), m.value_net(vf)

    return wrapped(policy, actor), (torch.rand(2, *((3, 36, 36) if image else (4,))),)


def _actor(name: str, module: str, kind: str) -> Built:
    import importlib

    policy = getattr(importlib.import_module(f"stable_baselines3.{module}.policies"), kind)(
        *_spaces(False, False), _rate
    )
    if kind == "SACPolicy":
        return wrapped(policy.actor, lambda m, x: m.get_action_dist_params(x)[:2]), (torch.randn(2, 4),)
    return policy.actor, (torch.randn(2, 4),)


def _critic(name: str) -> Built:
    from stable_baselines3.sac.policies import SACPolicy

    policy = SACPolicy(*_spaces(False, False), _rate)
    return wrapped(policy.critic, lambda m, x, a: m(x, a)), (torch.randn(2, 4), torch.randn(2, 2))


def _relu() -> dict[str, Any]:
    return {"activation_fn": torch.nn.ReLU}


ENTRIES: tuple[Entry, ...] = (
    *table("policies", _q, (("dqn_mlp", True, "stable_baselines3.dqn.policies", "DQNPolicy", False),),
        "stable_baselines3"),
    *table("policies", _q, (("qrdqn_mlp", True, "sb3_contrib.qrdqn.policies", "QRDQNPolicy", False),), "sb3_contrib"),
    *table("policies", _actor_critic, (
        ("ppo_mlp_tanh", False, False, True, {}), ("ppo_mlp_relu", True, False, False, _relu()),
        ("ppo_cnn", True, True, True, _relu()),
        ("ppo_mlp_wide", True, False, True, {**_relu(), "net_arch": [128, 128]}),
    ), "stable_baselines3"),
    *table("policies", _actor, (
        ("sac_actor", True, "sac", "SACPolicy"), ("td3_actor", False, "td3", "TD3Policy"),
    ), "stable_baselines3"),
    *table("policies", _critic, (("sac_critic", True),), "stable_baselines3"),
)  # fmt: skip
