"""What listeners read: every sentence of the pages, by language, each replaceable by the study."""

from __future__ import annotations

from collections.abc import Mapping

from humanclap.errors import SettingsError
from humanclap.listening.design.wording_choices import CHOICES

ENGLISH: dict[str, str] = {
    "welcome": "You will hear short sounds. For each one you read a sentence and say how well "
    "the two match.",
    "consent": "Your answers are stored without your name or address and are used for research. "
    "You may stop at any time by closing this page.",
    "first_sounds": "Sounds",
    "sounds": "{sounds}",
    "sounds_practice": "{sounds} (practice: {practice})",
    "first_minutes": "Time",
    "minutes": "about {minutes} min",
    "first_pay": "Pay",
    "first_needs": "You need",
    "needs_headphones": "headphones; the study checks for them and cannot go on without",
    "first_contact": "Contact",
    "agree": "I have read this and agree to take part",
    "agree_first": "To start, tick the box.",
    "start": "Start",
    "continue": "Continue",
    "next": "Next",
    "finish": "Finish",
    "last_final": "This is the last sound. Finish makes your answers final.",
    "back": "Change my last answer",
    "revising": "You may change this answer, or go on.",
    "not_heard": "Not heard to the end yet",
    "not_answered": "No answer chosen yet",
    "answers_missing": "Answers still missing: {count}",
    "steps_missing": "Steps still to do: {count}",
    "volume_first": "First play the noise, then tick the box.",
    "play": "Play",
    "play_again": "Play again",
    "playing": "Playing",
    "play_on": "Play on",
    "pause": "Pause",
    "position": "Position in the sound",
    "position_at": "{at} of {length} seconds",
    "seek_heard": "You can go back, and forward as far as you have listened.",
    "loading": "Loading the sound",
    "sound_failed": "The sound could not be loaded. It is tried again by itself.",
    "listen_first": "Listen to the end, then answer.",
    "rate_now": "You can answer now.",
    "trial_of": "Sound {number} of {total}",
    "practice": "Practice: this answer does not count",
    "caption": "Text",
    "saved": "All answers are saved",
    "saving": "Saving",
    "offline": "No connection. Go on; answers kept here until it is back: {count}.",
    "sending_rest": "Waiting for the connection. Answers still to be sent: {count}. Please keep "
    "this page open.",
    "refused": "An answer could not be stored. Please reload this page.",
    "answer_all": "Please answer every question.",
    "keys_title": "Keys",
    "keys_on": "Use keyboard shortcuts",
    "keys_play": "Space plays the sound.",
    "keys_digits": "Type the number of your answer. For {high} type its digits one after the "
    "other, within a second.",
    "keys_next": "Enter goes on.",
    "comment_optional": "optional",
    "about_title": "About you",
    "after_title": "Last questions",
    "choose": "Please choose",
    "sound_title": "Check your sound",
    "volume": "Use headphones if you can, in a quiet room. Play this noise. It comes twice: as "
    "loud as most sounds of this study, then as loud as the loudest. Set the volume so that the "
    "first is easy to hear and the second is not too loud. Please leave it so from then on.",
    "volume_ok": "I hear both well, and neither is too loud",
    "volume_again": "Check the volume again",
    "volume_noise": "Play the noise",
    "headphone_title": "Headphone check",
    "headphone": "Each row plays three tones. Which one is the quietest?",
    "headphone_row": "Row {number}: which tone is the quietest?",
    "headphone_choice": "Tone {number}",
    "headphone_failed": "This did not work out. Please put on headphones and try once more.",
    "headphone_out": "This study needs headphones, so it ends here. Thank you for trying.",
    "done_title": "Thank you",
    "thanks": "All your answers are stored.",
    "code": "Your completion code",
    "return": "Go back to the recruiting site",
    "full_title": "No more listeners needed",
    "full": "This study has all the answers it needs at the moment. Thank you for coming.",
    "paused_title": "A short break",
    "paused": "The study is paused. Please come back later; your answers are safe.",
    "closed_title": "Study closed",
    "closed": "This study is over. Thank you for your interest.",
    "ended_title": "Session ended",
    "ended": "This session has ended.",
    "elsewhere_title": "Started elsewhere",
    "elsewhere": "You have begun this study in another browser, or by another link. Please go on "
    "there. Your answers are safe.",
    "unheard_title": "No sound at the moment",
    "unheard": "The sounds of this study cannot be played at the moment. Please come back later, "
    "by the same link.",
    "away_title": "One moment, please",
    "away": "The study cannot be reached just now. Please reload this page in a few seconds; your "
    "answers are safe.",
    "preview": "This is a preview. Accept the task to start.",
    "error_title": "That did not work",
    "noscript": "This study plays sounds with JavaScript. Please switch it on and reload.",
    "attention": "This is a check: please choose {answer}, whatever you hear.",
    "scale_from_to": "{low} to {high}",
    "skip": "Skip to the content",
    "REL": "How well does the sound match the text overall?",
    "REL_low": "does not match at all",
    "REL_high": "matches exactly",
    "IS": "How far are the sounds that the text names really in the recording?",
    "IS_low": "none of them",
    "IS_high": "all of them",
    "OS": "How far do the sounds come in the order that the text tells?",
    "OS_low": "not at all in that order",
    "OS_high": "exactly in that order",
    "OVERALL": "How good is the quality of the sound, whatever the text says?",
    "OVERALL_low": "very bad",
    "OVERALL_high": "excellent",
    "COMMENT": "Anything to add about this sound?",
}

JAPANESE: dict[str, str] = {
    "welcome": "短い音を聞き、表示される文と音がどのくらい合っているかを答えてください。",
    "consent": "回答は氏名や住所と結びつけずに保存され、研究に使われます。"
    "このページを閉じれば、いつでもやめることができます。",
    "first_sounds": "音の数",
    "sounds": "{sounds} 個",
    "sounds_practice": "{sounds} 個 (練習: {practice} 個)",
    "first_minutes": "時間",
    "minutes": "約 {minutes} 分",
    "first_pay": "謝礼",
    "first_needs": "必要なもの",
    "needs_headphones": "ヘッドホン (確認があり、ないと続けられません)",
    "first_contact": "連絡先",
    "agree": "上の説明を読み、参加に同意します",
    "agree_first": "始めるには同意の欄を選んでください。",
    "start": "始める",
    "continue": "続ける",
    "next": "次へ",
    "finish": "終える",
    "last_final": "これが最後の音です。「終える」を押すと、回答は変更できません。",
    "back": "直前の回答を変更する",
    "revising": "この回答を変更するか、そのまま次へ進んでください。",
    "not_heard": "まだ最後まで聞いていません",
    "not_answered": "まだ答えが選ばれていません",
    "answers_missing": "残りの質問: {count}",
    "steps_missing": "残りの項目: {count}",
    "volume_first": "雑音を再生してから、欄を選んでください。",
    "play": "再生",
    "play_again": "もう一度再生",
    "playing": "再生中",
    "play_on": "続きを再生",
    "pause": "一時停止",
    "position": "音の再生位置",
    "position_at": "{length} 秒中 {at} 秒",
    "seek_heard": "前に戻ることと、聞いたところまで進むことができます。",
    "loading": "音を読み込んでいます",
    "sound_failed": "音を読み込めませんでした。自動的にやり直します。",
    "listen_first": "最後まで聞いてから答えてください。",
    "rate_now": "答えてください。",
    "trial_of": "{total} 個中 {number} 個目の音",
    "practice": "練習: この回答は数えません",
    "caption": "文",
    "saved": "すべての回答を保存しました",
    "saving": "保存しています",
    "offline": "接続がありません。そのまま続けてください。{count} 件の回答は後で送られます。",
    "sending_rest": "接続を待って {count} 件の回答を送ります。"
    "このページを開いたままにしてください。",
    "refused": "保存できない回答がありました。ページを再読み込みしてください。",
    "answer_all": "すべての質問に答えてください。",
    "keys_title": "キー操作",
    "keys_on": "キーボードショートカットを使う",
    "keys_play": "スペースキーで音を再生します。",
    "keys_digits": "答えの数字を入力してください。{high} は数字を 1 秒以内に続けて入力します。",
    "keys_next": "Enter キーで次へ進みます。",
    "comment_optional": "任意",
    "about_title": "あなたについて",
    "after_title": "最後の質問",
    "choose": "選んでください",
    "sound_title": "音の確認",
    "volume": "できれば静かな場所でヘッドホンを使ってください。雑音を再生してください。"
    "1 回目はこの実験の多くの音と同じ大きさ、2 回目はいちばん大きい音と同じ大きさです。"
    "1 回目がよく聞こえ、2 回目が大きすぎない音量に合わせ、その後は変えないでください。",
    "volume_ok": "両方ともよく聞こえ、大きすぎません",
    "volume_again": "音量をもう一度確かめる",
    "volume_noise": "雑音を再生",
    "headphone_title": "ヘッドホンの確認",
    "headphone": "各行で 3 つの音が鳴ります。いちばん小さい音はどれですか。",
    "headphone_row": "{number} 行目: いちばん小さい音はどれですか。",
    "headphone_choice": "音 {number}",
    "headphone_failed": "うまくいきませんでした。ヘッドホンをつけて、もう一度試してください。",
    "headphone_out": "この実験にはヘッドホンが必要なため、ここで終わります。"
    "ありがとうございました。",
    "done_title": "ありがとうございました",
    "thanks": "すべての回答を保存しました。",
    "code": "完了コード",
    "return": "募集サイトに戻る",
    "full_title": "募集は終わりました",
    "full": "現在、必要な回答はすべて集まっています。ご参加ありがとうございます。",
    "paused_title": "休止中",
    "paused": "実験は休止中です。後でもう一度お越しください。回答は保存されています。",
    "closed_title": "終了しました",
    "closed": "この実験は終わりました。ご関心をありがとうございます。",
    "ended_title": "セッション終了",
    "ended": "このセッションは終わりました。",
    "elsewhere_title": "別のところで開始済み",
    "elsewhere": "この調査は、別のブラウザーまたは別のリンクで始められています。"
    "そちらで続けてください。回答は保存されています。",
    "unheard_title": "音を再生できません",
    "unheard": "いま、この調査の音を再生できません。あとで同じリンクから開いてください。",
    "away_title": "少々お待ちください",
    "away": "いま、調査につながりません。数秒後にこのページを再読み込みしてください。"
    "回答は保存されています。",
    "preview": "これはプレビューです。作業を引き受けてから始めてください。",
    "error_title": "うまくいきませんでした",
    "noscript": "この実験は JavaScript で音を再生します。有効にして再読み込みしてください。",
    "attention": "確認の質問です。音にかかわらず {answer} を選んでください。",
    "scale_from_to": "{low} から {high}",
    "skip": "本文へ移動",
    "REL": "音は文と全体としてどのくらい合っていますか。",
    "REL_low": "まったく合っていない",
    "REL_high": "完全に合っている",
    "IS": "文にある音は、どのくらい実際に含まれていますか。",
    "IS_low": "まったく含まれていない",
    "IS_high": "すべて含まれている",
    "OS": "音は、どのくらい文のとおりの順序で鳴りますか。",
    "OS_low": "まったく違う順序",
    "OS_high": "文のとおりの順序",
    "OVERALL": "文とは関係なく、音の品質はどのくらい良いですか。",
    "OVERALL_low": "とても悪い",
    "OVERALL_high": "とても良い",
    "COMMENT": "この音について何かあれば書いてください。",
}

LANGUAGES: dict[str, dict[str, str]] = {"en": ENGLISH, "ja": JAPANESE}


def wording_of(language: str, replaced: Mapping[str, str], trial: str = "rating") -> dict[str, str]:
    """The sentences of a language with those the study replaces.

    trial: `rating`, or what an A/B study compares, which has sentences of its own. A language
    without sentences of its own starts from English; then the study should replace them all.
    Raises SettingsError for a sentence that no page uses, or one that fills in a placeholder the
    page does not give.

    >>> wording_of("en", {"start": "Go"})["start"]
    'Go'
    """
    english = sentences_of("en", trial)
    sentences = sentences_of(language.partition("-")[0], trial)
    unknown = sorted(replaced.keys() - sentences.keys())
    if unknown:
        known = ", ".join(sorted(english))
        raise SettingsError(f"[wording] has no sentence {unknown[0]!r}; known: {known}")
    for name, sentence in replaced.items():
        wanted, given = _placeholders(english[name]), _placeholders(sentence)
        if not given <= wanted:
            raise SettingsError(
                f"[wording] {name}: {sorted(given - wanted)} cannot be filled in; "
                f"known here: {sorted(wanted) or 'none'}"
            )
    if "{answer}" not in (chosen := sentences | dict(replaced))["attention"]:
        raise SettingsError("[wording] attention must say which {answer} to choose")
    return chosen


def sentences_of(language: str, trial: str = "rating") -> dict[str, str]:
    """Our own sentences for trials of a kind; English where we have none in the language."""
    own = language if language in LANGUAGES else "en"
    return LANGUAGES[own] | dict(CHOICES.get(trial, {}).get(own, {}))


def _placeholders(sentence: str) -> set[str]:
    import string

    try:
        return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
    except ValueError as error:
        raise SettingsError(f"[wording] {sentence!r}: {error}") from error
