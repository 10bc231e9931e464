import io
import zipfile

import pytest

from humanclap.cli.main import run
from humanclap.errors import InputError
from humanclap.fetch.relate import README_ADDRESS, address_in, fetch_relate


def archive(names, text=b"RIFF"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in names:
            file.writestr(name, text * 100)
    return packed.getvalue()


CLIPS = ("RELATE_wave/audiocaps/train/1.wav", "RELATE_wave/tango2/test/2.wav")


def test_the_address_is_that_of_the_datasets_readme(shared):
    assert address_in(shared / "data" / "relate" / "README.md") == README_ADDRESS


def test_relate_is_unpacked_and_rated_clips_that_miss_are_named(server, tmp_path):
    server.body = archive(CLIPS)
    scores = tmp_path / "REL.csv"
    scores.write_text("wavname,text\n/audiocaps/train/1.wav,a\n/tango/test/9.wav,b\n")
    found = fetch_relate(tmp_path / "out", url=server.url, scores=scores)
    assert (tmp_path / "out" / "RELATE_wave" / "tango2" / "test" / "2.wav").stat().st_size == 400
    assert (found.clips, found.missing) == (2, ("tango/test/9.wav",))
    assert not (tmp_path / "out" / "RELATE_wave.zip").exists()
    asked = len(server.asked)
    again = fetch_relate(tmp_path / "out", url=server.url)
    assert (again.clips, again.sha256, len(server.asked)) == (2, found.sha256, asked)
    with pytest.raises(InputError, match="from an archive with SHA-256"):
        fetch_relate(tmp_path / "out", url=server.url, sha256="00")


def test_a_damaged_or_strange_archive_is_refused(server, tmp_path):
    broken = bytearray(archive(CLIPS))
    broken[60] ^= 0xFF  # inside the first clip: its CRC no longer fits
    server.body = bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        fetch_relate(tmp_path / "a", url=server.url)
    assert not list((tmp_path / "a").rglob("1.wav"))
    server.body = archive(["../../evil/train/1.wav"])
    with pytest.raises(InputError, match="is not of the form"):
        fetch_relate(tmp_path / "b", url=server.url)
    server.body = archive(["readme.txt"])
    with pytest.raises(InputError, match="holds no wav files"):
        fetch_relate(tmp_path / "c", url=server.url)


def test_bytes_that_do_not_unpack_are_damage(server, tmp_path):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("RELATE_wave/natural/train/1.wav", bytes(range(256)) * 40)
    content = bytearray(held.getvalue())
    start = content.index(b"1.wav") + len(b"1.wav")
    content[start : start + 4] = b"\xff" * 4  # no block of deflate begins so
    server.body = bytes(content)
    with pytest.raises(InputError, match=r"damaged .*delete it to download it again"):
        fetch_relate(tmp_path, url=server.url)
    assert not list(tmp_path.rglob("1.wav"))


def test_the_command_tells_what_came(server, tmp_path, capsys):
    server.body = archive(CLIPS)
    (tmp_path / "README.md").write_text(f"clips: [here]({server.url})")
    arguments = ["data", "relate", "-o", str(tmp_path / "out")]
    assert run([*arguments, "--readme", str(tmp_path / "README.md")]) == 0
    printed = capsys.readouterr()
    assert "2 clips in" in printed.out
    assert server.url in printed.err
    assert run([*arguments, "--readme", "x", "--url", "y"]) == 2
