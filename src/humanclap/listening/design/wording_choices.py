"""What listeners read in an A/B study, where it differs from a study of ratings or is added."""

from __future__ import annotations

from collections.abc import Mapping

_ENGLISH = {
    "first_sounds": "Comparisons",
    "trial_of": "Comparison {number} of {total}",
    "last_final": "This is the last comparison. Finish makes your answers final.",
    "choice_a": "A",
    "choice_b": "B",
    "choice_equal": "About equal",
    "keys_ab": "Type A or B to answer.",
    "keys_equal": "Type = for about equal.",
}
_JAPANESE = {
    "first_sounds": "比較の数",
    "trial_of": "{total} 回中 {number} 回目の比較",
    "last_final": "これが最後の比較です。「終える」を押すと、回答は変更できません。",
    "choice_a": "A",
    "choice_b": "B",
    "choice_equal": "同じくらい",
    "keys_ab": "A または B のキーで答えます。",
    "keys_equal": "同じくらいのときは = のキーを押します。",
}

CHOICES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "clips": {
        "en": {
            **_ENGLISH,
            "welcome": "You will read sentences. For each one you hear two sounds, A and B, and "
            "say which of the two matches it better.",
            "side_a": "Sound A",
            "side_b": "Sound B",
            "listen_first": "Listen to A and to B, both to the end, then answer.",
            "not_heard": "A and B not both heard to the end yet",
            "keys_play": "Space plays the next sound. 1 plays A, 2 plays B.",
            "CHOICE": "Which sound matches the text better?",
            "COMMENT": "Anything to add about these two sounds?",
        },
        "ja": {
            **_JAPANESE,
            "welcome": "文を読み、A と B の 2 つの音を聞いて、どちらが文によく合っているかを"
            "答えてください。",
            "side_a": "音 A",
            "side_b": "音 B",
            "listen_first": "A と B の両方を最後まで聞いてから答えてください。",
            "not_heard": "まだ A と B の両方を最後まで聞いていません",
            "keys_play": "スペースキーで次の音を再生します。1 で A、2 で B を再生します。",
            "CHOICE": "どちらの音が文によく合っていますか。",
            "COMMENT": "この 2 つの音について何かあれば書いてください。",
        },
    },
    "texts": {
        "en": {
            **_ENGLISH,
            "welcome": "You will hear short sounds. For each one you read two sentences, A and B, "
            "and say which of the two matches it better.",
            "side_a": "Text A",
            "side_b": "Text B",
            "CHOICE": "Which text matches the sound better?",
        },
        "ja": {
            **_JAPANESE,
            "welcome": "短い音を聞き、A と B の 2 つの文を読んで、どちらが音によく合っているかを"
            "答えてください。",
            "side_a": "文 A",
            "side_b": "文 B",
            "CHOICE": "どちらの文が音によく合っていますか。",
        },
    },
}
"""Trial -> language -> sentences that are laid over those of `wording`."""
