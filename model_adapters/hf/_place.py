"""Where a checkpoint lies, and on what it is to run: everything that can be refused before the weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

DTYPES = ("auto", "float32", "bfloat16", "float16")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_SMALL = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to load; the fields are those of `build`."""

    device: str = "auto"
    dtype: str = "auto"
    chat_template: str | None = None
    revision: str | None = None
    max_context: int | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False


def device_of(model: str, asked: str) -> str:
    """Return the device that `asked` means here; raise UsageError when there is none such."""
    import torch

    has_mps = torch.backends.mps.is_available()
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    kind, _, number = asked.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UsageError(f"hf/{model}: device '{asked}' is none of auto, cpu, cuda, cuda:NUMBER, mps")
    count = torch.cuda.device_count() if kind == "cuda" else int(has_mps) if kind == "mps" else 1
    if not count:
        raise UsageError(
            f"hf/{model}: device={asked}, but this PyTorch ({torch.__version__}) sees no {kind.upper()} device. "
            "Use device=cpu, or install a PyTorch built for it and check the driver."
        )
    if number and int(number) >= count:
        raise UsageError(f"hf/{model}: device={asked}, but there are only {kind}:0 to {kind}:{count - 1}")
    return asked


def dtype_of(model: str, asked: str, device: str) -> str:
    """Return the name of the type to compute in."""
    import torch

    if asked not in DTYPES:
        raise UsageError(f"hf/{model}: dtype '{asked}' is none of {', '.join(DTYPES)}")
    if asked != "auto":
        return asked
    if device == "cpu":
        return "float32"
    return "bfloat16" if not device.startswith("cuda") or torch.cuda.is_bf16_supported() else "float16"


def folder_of(model: str, settings: Settings) -> tuple[Path, str | None]:
    """Return the folder of the checkpoint, and the hub's commit where it comes from the hub."""
    place = Path(model).expanduser()
    if place.is_dir():
        if settings.revision:
            raise UsageError(f"hf/{model}: a folder has no revisions; leave revision={settings.revision} out")
        return place, None
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise UsageError(f"hf/{model}: no such folder. Give a checkpoint's folder or a hub name such as OWNER/NAME.")
    from huggingface_hub import snapshot_download

    patterns = [*_SMALL, "*.safetensors"]
    patterns += [*_PICKLED] if settings.allow_pickle else []
    patterns += ["*.py"] if settings.trust_remote_code else []
    try:
        try:  # what lies in the local cache is taken as it is: the same command gives the same model, and asks nobody
            found = Path(snapshot_download(model, revision=settings.revision, local_files_only=True))
            if not any(found.glob("*.safetensors")) and not (settings.allow_pickle and _pickled(found)):
                raise FileNotFoundError(found)
        except FileNotFoundError:
            found = Path(snapshot_download(model, revision=settings.revision, allow_patterns=patterns))
    except Exception as error:  # noqa: BLE001 - the hub's client has a dozen kinds; all mean that the model is not to be had
        raise UsageError(
            f"hf/{model}: not a folder here, not in the local model cache, and the hub did not give it: {first_line(error)}. "
            "Fetch it once where there is a network (hf download), or give a folder."
        ) from None
    return found, found.name


def _pickled(folder: Path) -> list[Path]:
    return [file for pattern in _PICKLED for file in folder.glob(pattern) if file.name != "training_args.bin"]


def weights_of(model: str, folder: Path, settings: Settings) -> list[Path]:
    """Return the files with the weights; raise UsageError for none, and for pickled ones unless these are allowed."""
    if not (folder / "config.json").is_file():
        raise UsageError(f"hf/{model}: this is no checkpoint that transformers can read: {folder} has no config.json")
    safe = list(folder.glob("*.safetensors"))
    if safe:
        return safe
    pickled = _pickled(folder)
    if pickled and settings.allow_pickle:
        return pickled
    if pickled:
        raise UsageError(
            f"hf/{model}: its weights are pickled ({pickled[0].name}), and loading a pickle can run a stranger's code. "
            "Convert them to safetensors, or set allow_pickle=true if you trust where they come from."
        )
    raise UsageError(f"hf/{model}: no weights: {folder} has no *.safetensors file")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
