"""Manifests that break one rule each, and what the command says about them."""


def in_one_line(text):
    return " ".join(text.split())


BAD_MANIFESTS = {
    "missing column": ("ambience,id\nrain.wav,a\n", ['line 1, column "music"', "is required"]),
    "duplicate id": (
        "id,ambience,music\na,rain.wav,folk.wav\nA,rain.wav,rock.wav\n",
        ['line 3, column "id", value "A"', "already used in line 2"],
    ),
    "unknown column": (
        "ambience,music,strengths\nrain.wav,folk.wav,1\n",
        ['line 1, column "strengths"', 'did you mean "strength"?'],
    ),
    "two separators": (
        "ambience;music,strength\nrain.wav;folk.wav,1\n",
        ["line 1 contains commas and semicolons", "by commas"],
    ),
    "out of range": (
        "ambience,music,strength\nrain.wav,folk.wav,1\nrain.wav,rock.wav,1.5\n",
        ['line 3, column "strength", value "1.5"', "outside 0..1"],
    ),
    "not a number": (
        "ambience,music,seed\nrain.wav,folk.wav,seven\n",
        ['line 2, column "seed", value "seven"', "must be a whole number"],
    ),
    "outside the roots": (
        "ambience,music\n../rain.wav,folk.wav\n",
        ['line 2, column "ambience", value "../rain.wav"', "contains .."],
    ),
}
