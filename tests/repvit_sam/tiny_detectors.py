"""Text detectors of transformers with random weights and a vocabulary of a few words, made from their configurations.

What they find means nothing; how text, photo and boxes go through them is that of the published ones.
"""

import json

import torch

_WORDS = ("a", "b", "c", "cat", "remote", "control", "cup", "##s", "?", ",")
# Grounding DINO's network knows BERT's separators by these numbers
_BERT_NUMBERS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_grounding_dino(folder, name="GroundingDino"):
    """Grounding DINO of 1 MB, or MM Grounding DINO ("MMGroundingDino"), as ``save_pretrained`` writes it."""
    import transformers

    _write_bert_tokenizer(folder)
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        backbone_config={
            "model_type": "swin",
            "image_size": 64,
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 4,
            "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert",
            "vocab_size": 1040,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
        num_queries=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        d_model=32,
    )
    getattr(transformers, f"{name}ForObjectDetection")(config).save_pretrained(folder)
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "processor_class": "GroundingDinoProcessor",
            "size": {"shortest_edge": 64, "longest_edge": 128},
        },
    )
    return folder


def save_owl(folder, name):
    """OWLv2 or OWL-ViT ("Owlv2", "OwlViT") of 0.1 MB."""
    import transformers

    _write_clip_tokenizer(folder)
    torch.manual_seed(0)
    text = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "image_size": 64}
    text |= {"num_attention_heads": 2, "pad_token_id": 0, "bos_token_id": 58, "eos_token_id": 59}
    vision |= {"num_attention_heads": 2, "patch_size": 16}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, projection_dim=16)
    getattr(transformers, f"{name}ForObjectDetection")(config).save_pretrained(folder)
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": f"{name}ImageProcessor",
            "processor_class": f"{name}Processor",
            "size": {"height": 64, "width": 64},
        },
    )
    return folder


def _write_bert_tokenizer(folder):
    words = {number: f"[unused{number}]" for number in range(1040)}
    words |= {number: word for word, number in _BERT_NUMBERS.items()}
    free = (number for number in range(200, 300))
    words |= {next(free): word for word in _WORDS if word not in _BERT_NUMBERS}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{words[number]}\n" for number in range(1040)))
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512},
    )


def _write_clip_tokenizer(folder):
    letters = ["!", *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS)]
    merges = ["c a", "ca t</w>", "c u", "cu p</w>"]
    words = [*letters, *(merge.replace(" ", "") for merge in merges)]
    words += [f"[unused{number}]" for number in range(58 - len(words))] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "vocab.json", {word: number for number, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, "pad_token": "!", "unk_token": "<|endoftext|>"},
    )


def _write_json(path, content):
    path.write_text(json.dumps(content))
