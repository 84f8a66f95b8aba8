"""Picture and sounds of the front page: an ambience, a tune and the ambience that plays it.

`make media` runs this module after `make demo`, whose model it uses. Both inputs, and the music
that trained the model, are synthesised by this package, so all sounds are free to use.
"""

from pathlib import Path

from PIL import Image

from nst_core import OutputConfig, write_master
from nst_core.audio.reading import read_audio
from nst_core.classifier.saving import Classifier, load_classifier
from nst_core.config import MelConfig
from nst_core.metrics.picture import draw_mels
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.end_to_end import transfer_arrays

DOCS = Path(__file__).parents[1]
MODEL = DOCS.parent / "demo" / "model"
KIND, GENRE = "rain", "folk"
DURATION_S = 7.0
STRENGTH = 1.0
SEED = 1000
SR = MelConfig.sr
TITLES = {
    "ambience": f"Ambience: {KIND}",
    "music": f"Music: a tune ({GENRE})",
    "result": f"Result: the {KIND} plays the tune",
}
"""Name of each sound's file, and its title in the picture."""


def make_media(folder: Path, classifier: Classifier) -> None:
    """Write `sounds/*.ogg` and `images/pair.png` into a folder, equally loud and long."""
    music = music_piece(GENRE, DURATION_S, seed=SEED)
    rain = ambience(KIND, DURATION_S, seed=SEED)
    result = transfer_arrays(music, rain, sr=SR, strength=STRENGTH, classifier=classifier)
    sounds = folder / "sounds"
    sounds.mkdir(parents=True, exist_ok=True)
    for name, y in {"ambience": rain, "music": music, "result": result}.items():
        write_master(sounds / f"{name}.ogg", y, SR, OutputConfig(format="ogg"), music=music)
    picture = folder / "images" / "pair.png"
    picture.parent.mkdir(exist_ok=True)
    heard = {title: read_audio(sounds / f"{name}.ogg", sr=SR).y for name, title in TITLES.items()}
    draw_mels(picture, heard, SR)
    shrink(picture)


def shrink(picture: Path) -> None:
    """Reduce a PNG to 256 colours, half of its bytes."""
    with Image.open(picture) as image:
        reduced = image.convert("RGB").quantize(
            256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    reduced.save(picture, optimize=True)


if __name__ == "__main__":
    make_media(DOCS, load_classifier(MODEL))
