"""What counts as a login in a place, and what remains of a login in a text."""

import pytest

from nst_core.errors import ConfigError
from tasks.storage.credentials import holds_login, refuse_login, scrub
from tasks.storage.errors import StorageError
from tasks.storage.uris import is_remote

SECRET = "hunter2"
LOGINS = (
    "s3://user:hunter2@bucket/x.wav",
    "S3://user:hunter2@bucket/x.wav",
    "s3://hunter2@bucket/x.wav",
    "s3://user:pa/hunter2@bucket/x.wav",
    "s3://user:hunter2/pa@bucket/x@y.wav",
    "s3://user:p@hunter2:w@bucket/x.wav",
    "s3://user:hunter2@bucket",
    "s3%3A//user:hunter2@bucket/x.wav",
    "s3%3a%2f%2fuser%3ahunter2%40bucket/x.wav",
    "s3%253A%252F%252Fuser%253Ahunter2%2540bucket",
    "s3://user:my hunter2@bucket/x.wav",
    "https://user:hunter2@host/x.zip",
    "https://user:hunter2@host:8443/x.zip",
    "file://user:hunter2@host/x.wav",
    "rain.wav + s3://user:hunter2@bucket/x.wav*2",
    "a,s3://bucket/x,s3://user:hunter2@bucket",
)
UNSEEN_IN_A_TEXT = (
    "user:hunter2@bucket/x.wav",
    "//user:hunter2@bucket/x.wav",
    "s3:/user:hunter2@bucket/x.wav",
    "s3:\\\\user:hunter2@bucket",
    "s3://user:my hunter2/x@bucket",
)
"""Nobody can say where these end, so only a whole cell is recognised."""
NAMES = (
    "s3://bucket/live@home.wav",
    "s3://bucket/12:30 @ the club.wav",
    "s3://arn:aws:s3:us-west-2:1:accesspoint/ap/key.wav",
    "file:///sounds/a:b@c.wav",
    "/sounds/a:b@c.wav",
    "sounds/a:b@c.wav",
    "Live: Somebody @ Wembley.wav",
    "rain.wav*2 + home@night.wav",
    "C:/sounds/x.wav",
    "https://host:8443/x.zip",
    "50%.wav",
)


@pytest.mark.parametrize("place", [*LOGINS, *UNSEEN_IN_A_TEXT])
def test_a_place_with_a_login_is_refused_without_being_repeated(place):
    with pytest.raises(ConfigError, match="the model contains a login") as caught:
        refuse_login("the model", place)
    assert caught.value.code == "login_in_place"
    assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("place", LOGINS)
def test_logins_are_removed_from_a_text(place):
    for text in (place, f"cannot read {place}: try later", f'("{place}",)', f"{place} {place}"):
        assert SECRET not in scrub(text)
    assert scrub(f"cannot read {place}: try later").endswith(": try later")


@pytest.mark.parametrize(
    "place",
    ["s3://hunter2%%34%30b/x", "s3://u:hunter2%%34%30b/x", "s3://u:pa@hunter2%%34%30b/x"],
)
def test_a_login_with_an_encoded_end_is_removed_with_the_rest_of_the_place(place):
    assert holds_login(place)
    assert scrub(f"cannot read {place} now") == "cannot read s3://*** now"


@pytest.mark.parametrize("place", NAMES)
def test_a_name_with_a_colon_or_an_at_sign_is_not_a_login(place):
    assert not holds_login(place)
    assert scrub(f"cannot read {place}: try later") == f"cannot read {place}: try later"


def test_the_rest_of_a_text_stays():
    assert scrub("s3://user:hunter2@bucket/x.wav: no") == "s3://***bucket/x.wav: no"
    text = "http://host:80 is away, ask joe@example.org"
    assert scrub(text) == text


@pytest.mark.parametrize(
    "url",
    [
        "https://host/x.zip?X-Amz-Signature=hunter2&X-Amz-Date=1",
        "https://host/x.zip?sv=1&sig=hunter2",
        "https://host/x.zip?token=hunter2",
        "s3://bucket/x.zip?X-Amz-Signature=hunter2",
    ],
)
def test_the_signature_of_a_url_is_removed(url):
    assert not holds_login(url)
    assert SECRET not in scrub(f"cannot download {url}: it has expired")
    assert "/x.zip?***" in scrub(url)


@pytest.mark.parametrize("place", [place for place in LOGINS if place.startswith("s3://")])
def test_a_bucket_is_never_asked_with_a_login(place):
    with pytest.raises(StorageError, match="contains a login") as caught:
        is_remote(place)
    assert SECRET not in str(caught.value)
