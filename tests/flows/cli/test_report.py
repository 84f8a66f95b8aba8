"""`amnst report`: the listening page, made again."""

import shutil


def test_the_page_is_made_again_from_the_report_even_in_another_place(amnst, catalogue, tmp_path):
    moved = shutil.copytree(catalogue.output, tmp_path / "moved")
    (moved / "index.html").unlink()
    before = (moved / "results.csv").read_bytes()
    code, out, err = amnst("report", moved, "--listen", "none")
    assert (code, out) == (0, f"{moved}/index.html\n")
    assert err.endswith(f"listen: {moved}/index.html\n")
    page = (moved / "index.html").read_text("utf-8")
    assert '"rain-folk.wav"' in page, "the link to a result"
    assert 'inputs/rain.wav"' in page, "the place of an input, as text"
    assert "../inputs" not in page
    assert (moved / "results.csv").read_bytes() == before


def test_a_folder_without_a_report_has_no_page(amnst, catalogue, tmp_path):
    code, out, err = amnst("report", tmp_path)
    assert (code, out) == (3, "")
    assert "results.parquet" in err
    assert list(tmp_path.glob("index.html")) == []
