from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from tests.portfolios.views.pages import html_of, text_of


def test_it_logs_in_and_goes_on_to_the_page_that_was_asked_for(stranger: Client) -> None:
    User.objects.create_user("bob", password="correct horse")

    response = stranger.post(
        "/login/", {"username": "bob", "password": "correct horse", "next": "/runs/"}
    )

    assert response.headers["Location"] == "/runs/"


def test_it_goes_to_no_other_site(stranger: Client) -> None:
    User.objects.create_user("bob", password="correct horse")
    form = {"username": "bob", "password": "correct horse", "next": "https://evil.example/"}

    assert stranger.post("/login/", form).headers["Location"] == "/"


def test_a_wrong_password_is_refused_and_not_shown_again(stranger: Client) -> None:
    response = stranger.post("/login/", {"username": "bob", "password": "battery staple"})

    assert "Please enter a correct username and password." in text_of(response)
    assert "battery staple" not in html_of(response)


def test_logging_out_takes_a_post(client: Client) -> None:
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").headers["Location"] == "/login/"
