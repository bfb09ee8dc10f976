"""transformers: tiny configurations of the usual architectures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]

_ENCODER = {
    "vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37,
    "max_position_embeddings": 64,
}  # fmt: skip
_DECODER = {**_ENCODER, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_IMAGE = {
    "image_size": 32, "patch_size": 8, "num_channels": 3, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 37,
}  # fmt: skip


def _first(model: Any, x: Tensor) -> Any:
    """Return the first output, which no cache follows."""
    return model(x, return_dict=False)[0]


def _make(kind: str, settings: dict[str, Any], head: str = "Model") -> Any:
    import transformers

    config = getattr(transformers, f"{kind}Config")(**settings)
    return getattr(transformers, f"{kind}{head}")(config)


def _ids(name: str, settings: dict[str, Any], head: str = "Model") -> Built:
    model = _make(name, settings, head)
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False
    return wrapped(model, _first), (torch.randint(3, 90, (2, 8)),)


def _images(name: str, settings: dict[str, Any], head: str = "Model", size: int = 32) -> Built:
    return wrapped(_make(name, settings, head), _first), (torch.randn(2, 3, size, size),)


def _wave(name: str, settings: dict[str, Any]) -> Built:
    return wrapped(_make(name, settings), _first), (torch.randn(2, 800),)


def _seq2seq(name: str, settings: dict[str, Any]) -> Built:
    model = _make(name, {**settings, "use_cache": False})

    def both(m: Any, source: Tensor, target: Tensor) -> Any:
        return m(input_ids=source, decoder_input_ids=target, return_dict=False)[0]

    return wrapped(model, both), (torch.randint(3, 90, (2, 8)), torch.randint(3, 90, (2, 5)))


def _whisper(name: str) -> Built:
    settings = {
        "vocab_size": 99, "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 32,
        "decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 32, "num_mel_bins": 8,
        "max_source_positions": 20, "max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2, "decoder_start_token_id": 1,
    }  # fmt: skip
    model = _make("Whisper", settings)
    return wrapped(model.encoder, lambda m, x: m(x, return_dict=False)[0]), (torch.randn(2, 8, 40),)


def _series(name: str) -> Built:
    settings = {
        "num_input_channels": 2, "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16,
        "num_attention_heads": 2, "num_hidden_layers": 2, "ffn_dim": 32, "prediction_length": 4,
    }  # fmt: skip
    model = _make("PatchTST", settings, "ForPrediction")
    return wrapped(model, lambda m, x: m(past_values=x, return_dict=False)[0]), (torch.randn(2, 32, 2),)


def _clip(name: str) -> Built:
    import transformers

    if name == "CLIPText":
        text = {**_ENCODER, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        model = transformers.CLIPTextModel(transformers.CLIPTextConfig(**text))
        return wrapped(model, _first), (torch.randint(3, 90, (2, 8)),)
    model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**_IMAGE))
    return wrapped(model, _first), (torch.randn(2, 3, 32, 32),)


_T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4,
       "decoder_start_token_id": 0}  # fmt: skip
_BART = {
    "vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "max_position_embeddings": 64,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
_GPT2 = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_SPEECH = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37,
    "conv_dim": (16, 16, 16), "conv_stride": (5, 2, 2), "conv_kernel": (10, 3, 3), "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2, "vocab_size": 32,
}  # fmt: skip
_STAGES = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "num_channels": 3}

TOKENS: tuple[tuple[Any, ...], ...] = (
    ("Bert", False, _ENCODER), ("Roberta", False, _ENCODER), ("Electra", False, {**_ENCODER, "embedding_size": 16}),
    ("Albert", False, {**_ENCODER, "embedding_size": 16}),
    ("DistilBert", False, {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37}),
    ("DebertaV2", False, {**_ENCODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    ("MPNet", False, _ENCODER), ("Funnel", False, {
        "vocab_size": 99, "block_sizes": [1, 1], "num_decoder_layers": 1, "d_model": 32, "n_head": 4, "d_head": 8,
        "d_inner": 37}),
    ("FNet", False, _ENCODER), ("SqueezeBert", False, {**_ENCODER, "embedding_size": 32, "intermediate_size": 36}),
    ("ModernBert", False, {**_ENCODER, "pad_token_id": 0, "reference_compile": False}),
    ("GPT2", False, _GPT2), ("GPTNeo", False, {
        "vocab_size": 99, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 64,
        "attention_types": [[["global", "local"], 1]], "window_size": 4}),
    ("GPTNeoX", False, _ENCODER), ("GPTJ", False, {**_GPT2, "rotary_dim": 4}), ("OpenAIGPT", False, _GPT2),
    ("Llama", False, _DECODER), ("Mistral", False, _DECODER), ("Qwen2", False, _DECODER),
    ("Qwen3", False, {**_DECODER, "head_dim": 8}), ("Gemma", False, {**_DECODER, "head_dim": 8}),
    ("Gemma2", False, {**_DECODER, "head_dim": 8, "sliding_window": 4}), ("Phi", False, _DECODER),
    ("Phi3", False, _DECODER), ("Cohere", False, _DECODER),
    ("Mixtral", False, {**_DECODER, "num_local_experts": 4, "experts_implementation": "batched_mm"}),
    ("OPT", False, {
        "vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 37,
        "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
    ("Bloom", False, {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    ("Falcon", False, {**_ENCODER, "new_decoder_architecture": False, "alibi": False}),
    ("Mpt", False, {"vocab_size": 99, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}),
    ("Mamba", False, {"vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}),
    ("Rwkv", False, {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}),
    ("RecurrentGemma", False, {**_DECODER, "lru_width": 32, "head_dim": 8, "attention_window_size": 8}),
)  # fmt: skip

PIXELS: tuple[tuple[Any, ...], ...] = (
    ("ViT", False, _IMAGE), ("DeiT", False, _IMAGE), ("Beit", False, _IMAGE), ("Dinov2", False, _IMAGE),
    ("PoolFormer", False, {"num_channels": 3}, "Model", 64),
    ("Swin", False, {
        "image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}),
    ("Swinv2", False, {
        "image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}),
    ("ConvNext", False, _STAGES), ("ResNet", True, {
        "hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8, "layer_type": "basic"}),
    ("RegNet", False, {"hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8, "groups_width": 4}),
    ("MobileNetV1", True, {"depth_multiplier": 0.25}), ("MobileNetV2", True, {"depth_multiplier": 0.35}),
    ("Segformer", False, {
        "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
        "decoder_hidden_size": 16}, "ForSemanticSegmentation", 64),
    ("Pvt", False, {
        "image_size": 64, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
        "Model", 64),
    ("Bit", False, {"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8}),
    ("Levit", False, {"image_size": 64}, "Model", 64), ("Cvt", False, {}, "Model", 64),
    ("Hiera", False, {"image_size": [64, 64], "embed_dim": 16}, "Model", 64),
)  # fmt: skip

ENTRIES: tuple[Entry, ...] = (
    *table("transformers", _ids, TOKENS, "transformers"),
    Entry("transformers/GPT2LMHead", lambda: _ids("GPT2", _GPT2, "LMHeadModel"), False, ("transformers",)),
    Entry(
        "transformers/BertForSequenceClassification",
        lambda: _ids("Bert", _ENCODER, "ForSequenceClassification"), False, ("transformers",),
    ),
    *table("transformers", _images, PIXELS, "transformers"),
    *table("transformers", _wave, (
        ("Wav2Vec2", False, _SPEECH), ("WavLM", False, _SPEECH),
    ), "transformers"),
    *table("transformers", _seq2seq, (
        ("T5", False, _T5), ("Bart", False, _BART),
        ("Marian", False, {**_BART, "pad_token_id": 58, "eos_token_id": 0}),
    ), "transformers"),
    *table("transformers", _whisper, (("WhisperEncoder", False),), "transformers"),
    *table("transformers", _series, (("PatchTST", False),), "transformers"),
    *table("transformers", _clip, (("CLIPText", False), ("CLIPVision", False)), "transformers"),
)  # fmt: skip
