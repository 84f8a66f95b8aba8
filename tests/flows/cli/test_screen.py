"""Display at a terminal."""

from flows.cli.screen import Screen


def test_the_bar_counts_the_pairs_that_are_over_and_not_those_that_were_not_run(capfd):
    screen = Screen()
    with screen.shown():
        screen.pairs(3)
        screen.pair("well", "ok", "")
        screen.pair("late", "failed", "gone.wav does not exist")
        screen.pair("left", "not_run", "")
    err = capfd.readouterr().err
    assert " 2/3 " in err
    assert " 3/3 " not in err
